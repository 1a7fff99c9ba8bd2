import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Sensitive } from "../../src/core/credential.ts";
import { askProvider } from "../../src/providers/ask.ts";
import { wordsOfError } from "../../src/providers/error-words.ts";
import { runProgram, type Program } from "../../src/providers/run-program.ts";
import { answer, noteOf, PROVIDER, programs, REQUEST } from "./programs.ts";

const never = new AbortController().signal;
const run = (directory: string, program: string, more: Partial<Program> = {}) =>
  runProgram({
    ...{ file: path.join(directory, program), args: [], environment: { PATH: "/usr/bin:/bin" } },
    ...{ input: "question\n", signal: never, timeoutMs: 5_000 },
    ...more,
  });

/** Whether a process is there, and not only waits to be reaped. */
function isAlive(pid: string): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid.trim()}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("a program", () => {
  it("gets its question and its arguments, without a shell, and no more than the environment that is for it", async () => {
    const directory = programs({
      echo: 'cat; printf "%s|" "$@"; env | sort | grep -v "^PWD\\|^_=\\|^SHLVL"',
    });
    const args = ["$(id)", "a b", "--flag=*"];
    const output = await run(directory, "echo", { args, environment: { PATH: "/usr/bin:/bin", A: "b" } });
    expect(output.toString()).toBe("question\n$(id)|a b|--flag=*|A=b\nPATH=/usr/bin:/bin\n");
  });

  it("need not read its question", async () => {
    const directory = programs({ deaf: "exec <&-; echo ok" });
    expect((await run(directory, "deaf", { input: "x".repeat(1_000_000) })).toString()).toBe("ok\n");
  });

  it.each([
    ["that is not there", "missing", "not-found", "is not in the directory of the programs"],
    ["that is not executable", "plain", "not-executable", "cannot be run: EACCES"],
    ["that is a directory", ".", "not-executable", "cannot be run: EACCES"],
    ["that writes 2 MiB", "chatty", "too-long", "wrote more than 1048576 bytes"],
    ["that ends by a signal", "crash", "exit-status", "was ended by SIGSEGV"],
    ["that fails without a word", "mute", "exit-status", "exited with 3"],
  ])("%s is a failure that says so", async (_what, program, failure, message) => {
    const directory = programs({
      chatty: "head -c 2097152 /dev/zero",
      crash: "kill -SEGV $$",
      mute: "exit 3",
    });
    writeFileSync(path.join(directory, "plain"), "#!/bin/sh\n");
    await expect(run(directory, program)).rejects.toMatchObject({ failure, message });
  });

  it("that forks and hangs is killed with all that it started", async () => {
    const directory = programs({ hang: 'sleep 1000 & echo $! > "$0.child"; echo $$ > "$0.self"; wait' });
    await expect(run(directory, "hang", { timeoutMs: 500 })).rejects.toMatchObject({
      ...{ failure: "timeout", message: "did not answer within 0.5 s" },
    });
    const pids = ["child", "self"].map((name) => noteOf(directory, "hang", name));
    await sleep(100);
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  it("that answers and leaves something behind has its answer taken at once, and the rest killed", async () => {
    const directory = programs({ leave: 'sleep 1000 & echo $! > "$0.child"; echo answer' });
    const startedAt = Date.now();
    expect((await run(directory, "leave")).toString()).toBe("answer\n");
    expect(Date.now() - startedAt).toBeLessThan(4_000);
    await sleep(100);
    expect(isAlive(noteOf(directory, "leave", "child"))).toBe(false);
  });

  it("that leaves a process of another group with its output open is not waited for", async () => {
    const directory = programs({ escape: "setsid sleep 5 & echo answer" });
    const startedAt = Date.now();
    expect((await run(directory, "escape")).toString()).toBe("answer\n");
    expect(Date.now() - startedAt).toBeLessThan(4_000);
  });

  it("is killed as soon as nobody needs its answer", async () => {
    const directory = programs({ hang: 'echo $$ > "$0.self"; sleep 1000' });
    const term = new AbortController();
    const running = run(directory, "hang", { signal: term.signal });
    setTimeout(() => {
      term.abort();
    }, 300);
    await expect(running).rejects.toMatchObject({ failure: "cancelled" });
    await sleep(100);
    expect(isAlive(noteOf(directory, "hang", "self"))).toBe(false);
    await expect(run(directory, "hang", { signal: term.signal })).rejects.toMatchObject({
      failure: "cancelled",
    });
  });

  it.each([
    ["on standard error", 'echo "login failed: password hunter2 of user admin is wrong" >&2; exit 1'],
    [
      "on standard output, as docker's helpers do",
      'echo "login failed: password hunter2 of user admin is wrong"; exit 1',
    ],
  ])("that fails with a password %s is quoted without it", async (_where, script) => {
    const directory = programs({ fail: script });
    await expect(run(directory, "fail")).rejects.toMatchObject({
      ...{ failure: "exit-status", message: "exited with 1: login failed: … of user … is wrong" },
    });
  });
});

describe("the words of an error", () => {
  it.each([
    ["", ""],
    ["hunter2", ""],
    ["TopSecret correct horse battery staple", ""],
    [
      "E1127 13:00:00.000000 1 main.go:150] Error running credential provider plugin: operation error ECR: GetAuthorizationToken, " +
        "https response error StatusCode: 400, RequestID: 1f2e, api error ExpiredTokenException: The security token included in the request is expired",
      "… Error running credential provider plugin: operation error ECR: GetAuthorizationToken, https response error StatusCode: 400, RequestID: … api error ExpiredTokenException: The … token … in the request is expired",
    ],
    ["dial tcp 10.0.0.1:443: connect: connection refused", "dial tcp … connect: connection refused"],
    ['Get "https://user:hunter2@host/": x509: unknown authority', "Get … x509: unknown authority"],
    ["password=hunter2", ""],
  ])("%j become %j", (text, words) => {
    expect(wordsOfError(text)).toBe(words);
  });

  it("are found in a moment, however many brackets there are", () => {
    const startedAt = performance.now();
    expect(wordsOfError(`denied ${")".repeat(4_000)}x`)).toBe("denied …");
    expect(wordsOfError(`${")".repeat(63)}x `.repeat(63))).toBe("");
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it("are at most 240 characters", () => {
    expect(wordsOfError("error ".repeat(1_000))).toHaveLength(240);
  });
});

describe("a provider", () => {
  it("is asked with its own environment, and of Pullpass's with what identifies the pod in a cloud", async () => {
    const directory = programs({ provider: `env > "$0.env"; cat > "$0.question"; echo '${answer()}'` });
    const env = [{ name: "OWN", value: new Sensitive("made-up") }];
    const environment = { PATH: "/usr/bin:/bin", AWS_ROLE_ARN: "role", HUB_PASSWORD: "made-up-hub" };
    const got = await askProvider(
      { provider: { ...PROVIDER, env }, request: REQUEST },
      { directory, environment },
      never,
    );
    expect(got.credential).toEqual({ username: "user", password: "made-up" });
    const seen = noteOf(directory, "provider", "env");
    expect(seen).toContain("AWS_ROLE_ARN=role\n");
    expect(seen).toContain("OWN=made-up\n");
    expect(seen).not.toContain("HUB_PASSWORD");
    expect(noteOf(directory, "provider", "question")).toContain('"image":"registry.example.com/pullpass"');
  });

  it("is run from the first of several directories that has it", async () => {
    const script = (password: string): string => `echo '${answer().replace("made-up", password)}'`;
    const directories = [
      programs({}),
      programs({ provider: script("made-up-1") }),
      programs({ provider: script("made-up-2") }),
    ];
    const ask = (directory: string) =>
      askProvider(
        { provider: PROVIDER, request: REQUEST },
        { directory, environment: { PATH: "/usr/bin:/bin" } },
        never,
      );
    expect((await ask(directories.join(":"))).credential.password).toBe("made-up-1");
    await expect(ask(`${programs({})}:${programs({})}`)).rejects.toMatchObject({ failure: "not-found" });
  });

  it("of docker's protocol is asked to get", async () => {
    const script = `[ "$*" = "--flag get" ] && [ "$(cat)" = registry.example.com ] && echo '{"Username":"user","Secret":"made-up"}'`;
    const directory = programs({ provider: script });
    const provider = { ...PROVIDER, protocol: "docker", args: ["--flag"] } as const;
    const got = await askProvider(
      { provider, request: REQUEST },
      { directory, environment: { PATH: "/usr/bin:/bin" } },
      never,
    );
    expect(got.credential.password).toBe("made-up");
  });
});
