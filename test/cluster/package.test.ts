/** The tarball of `npm pack`, installed into an empty folder: the program, the kubectl plugin, and completion in real shells. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitUntil } from "../wait-until.ts";
import { requireDebianPrograms, SHELLS } from "./harness/debian-programs.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { controlPlaneParts, requestedRelease } from "./harness/parts.ts";
import { runCommand } from "./harness/run-command.ts";

const ROOT = join(import.meta.dirname, "../..");

interface Manifest {
  readonly version: string;
  readonly files: readonly string[];
  readonly dependencies?: object;
}

const manifest = await readManifest(ROOT);
const report = (line: string) => process.stderr.write(`${line}\n`);

let directory: string;
/** The one that npm put into its prefix. */
let installed: string;
/** Where people work, with the configuration registries.yaml. */
let cwd: string;
/** In which Pullpass is on PATH, and this Node before any other. */
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "pullpass-package-"));
  installed = join(directory, "prefix/lib/node_modules/pullpass");
  cwd = join(directory, "work");
  await mkdir(cwd);
  await writeFile(join(cwd, "registries.yaml"), "registries: [{ name: hub, address: docker.io }]\n");
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("npm_"));
  const path = [join(directory, "prefix/bin"), join(process.execPath, ".."), process.env["PATH"]];
  env = { ...Object.fromEntries(inherited), HOME: directory, KUBECONFIG: "", PATH: path.join(delimiter) };

  const source = join(directory, "source");
  await copySources(source);
  await runCommand("npm", ["pack", "--pack-destination", directory], { cwd: source, env });
  expect(await readManifest(source)).toEqual(manifest);

  const tarball = join(directory, `pullpass-${manifest.version}.tgz`);
  // An empty cache and no network: npm has nothing but the tarball.
  const flags = [
    "--global",
    "--prefix",
    join(directory, "prefix"),
    "--offline",
    "--cache",
    join(directory, "cache"),
  ];
  await runCommand("npm", ["install", ...flags, tarball], { cwd, env });
}, 120_000);
afterAll(() => rm(directory, { recursive: true, force: true }));

async function readManifest(of: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(of, "package.json"), "utf8")) as Manifest;
}

/** A build in this clone would remove the one that other tests are running. */
async function copySources(target: string): Promise<void> {
  const names = [...manifest.files.filter((name) => name !== "dist"), "src", "package.json"];
  for (const name of names) await cp(join(ROOT, name), join(target, name), { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(target, "node_modules"));
}

describe("the installed tarball", () => {
  it("is the program, and needs no other package", async () => {
    expect(await runCommand("pullpass", ["--version"], { cwd, env })).toEqual({
      stdout: `${manifest.version}\n`,
      stderr: "",
    });
    const { stdout } = await runCommand("pullpass", ["explain", "--config", "registries.yaml", "nginx"], {
      cwd,
      env,
    });
    expect(stdout).toContain("needs      hub (docker.io)");
    expect(await readManifest(installed)).not.toHaveProperty("dependencies");
    expect(await readdir(installed)).not.toContain("node_modules");
  });
});

const olderNode = await findOlderNode();
if (olderNode === undefined) report("SKIPPED the installed tarball on an older Node: there is none on PATH");

/** This machine's own, beside the one that npm brought for the tests. */
async function findOlderNode(): Promise<{ readonly program: string; readonly version: string } | undefined> {
  for (const place of (process.env["PATH"] ?? "").split(delimiter)) {
    const program = join(place, "node");
    const version = await runCommand(program, ["--version"]).catch(() => undefined);
    const number = version?.stdout.trim().slice(1);
    if (number !== undefined && parseInt(number, 10) < 26) return { program, version: number };
  }
  return undefined;
}

describe.skipIf(olderNode === undefined)("the installed tarball on an older Node", () => {
  const { program = "", version = "" } = olderNode ?? {};
  const start = (...args: readonly string[]) =>
    spawn(program, [join(directory, "prefix/bin/pullpass"), ...args], { cwd, env });
  const run = async (...args: readonly string[]) => {
    const child = start(...args);
    const streams = [child.stdout, child.stderr].map((stream) => text(stream));
    const [, stdout, stderr] = await Promise.all([once(child, "close"), ...streams]);
    return { status: child.exitCode, stdout, stderr };
  };

  it("says in one line which Node it needs", async () => {
    const { status, stderr } = await run("--version");
    const expected = `pullpass: Node 26 or later is needed, and this is Node ${version}, `;
    expect(stderr).toMatch(new RegExp(String.raw`^${RegExp.escape(expected)}\S+\n$`));
    expect(status).toBe(1);
  });

  describe.skipIf(process.platform !== "linux")("with the Node that npm installs beside it", () => {
    beforeAll(async () => {
      const name = `node-linux-${process.arch}`;
      await mkdir(join(installed, "node_modules"));
      await symlink(join(ROOT, "node_modules", name), join(installed, "node_modules", name));
    });
    afterAll(() => rm(join(installed, "node_modules"), { recursive: true }));

    it("has the output and the exit status of the program", async () => {
      const { status, stdout } = await run("check", "missing.yaml");
      expect(stdout).toContain("missing.yaml: cannot be read");
      expect(status).toBe(2);
    });

    it("passes signals on", async () => {
      const listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--shutdown-delay", "0"];
      const flags = ["--standalone", "--tls-self-signed", "--config", "registries.yaml", ...listen];
      const child = start("serve", ...flags);
      const closed = once(child, "close");
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
      await waitUntil("serve to be ready", () => output.includes('"msg":"ready"'));
      child.kill("SIGTERM");
      expect(await closed).toEqual([0, null]);
      expect(output).toContain('"msg":"stopped"');
    });
  });
});

await describeLevel("control-plane", "the installed tarball as a kubectl plugin", () => {
  let kubectl: string;

  beforeAll(async () => {
    kubectl = (await controlPlaneParts(requestedRelease(), report)).kubectl;
  });

  it("is called kubectl pullpass", async () => {
    const { stdout } = await runCommand(kubectl, ["pullpass", "explain", "--help"], { cwd, env });
    expect(stdout).toMatch(/^Usage: kubectl pullpass explain /);
    const failed = runCommand(kubectl, ["pullpass", "explain"], { cwd, env });
    await expect(failed).rejects.toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("(kubectl pullpass --help shows the commands") as string,
    });
  });

  it("is completed by kubectl", async () => {
    const complete = (...words: readonly string[]) =>
      runCommand(kubectl, ["__complete", "pullpass", ...words], { cwd, env });
    expect((await complete("registries", "docker-config", "--for", "")).stdout).toBe("docker\nkubelet\n:4\n");
    // Words that would remove something are completed, and not run.
    expect((await complete("purge", "--yes", "--kube")).stdout).toMatch(/^--kubeconfig\t.+\n:4\n$/);
  });
});

await describeLevel("shells", "completion", () => {
  // No line that is typed holds the prompt that it sets.
  const PROMPT = `PS1='re''ady> '`;
  const LOAD = {
    bash: ["bash --norc --noprofile -i", `${PROMPT}; eval "$(pullpass completion bash)"`],
    zsh: ["zsh -f -i", `${PROMPT}; autoload -U compinit; compinit -u -D; eval "$(pullpass completion zsh)"`],
    fish: [
      "fish --no-config -i",
      `function fish_prompt; echo -n 're''ady> '; end; pullpass completion fish | source`,
    ],
  } as const;

  beforeAll(() => requireDebianPrograms(SHELLS, report), 300_000);

  it.each(["bash", "zsh", "fish"] as const)(
    "works in %s",
    async (name) => {
      const [start, load] = LOAD[name];
      await using shell = startShell(start);
      await shell.type(`${load}; echo load''ed\r`, "loaded");
      await shell.type("pullpass exp\t--conf\tregis\tnginx\r", "needs      hub");
      await shell.type("pullpass explain --config=regis\tghcr.io/a\r", "no configured registry covers it");
      await shell.type("pullpass completion fi\t\r", "# fish completion for pullpass");
    },
    4 * TYPED_TIMEOUT_MS,
  );
});

/** A shell starts the program for each word that it completes, beside two other test files and their control planes. */
const TYPED_TIMEOUT_MS = 90_000;

/** An interactive shell on a terminal of its own. */
function startShell(command: string) {
  const terminal = spawn("script", ["--quiet", "--command", command, "/dev/null"], {
    cwd,
    env: { ...env, TERM: "xterm" },
  });
  const closed = once(terminal, "close");
  let output = "";
  terminal.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
  return {
    /** Types as a person does, and waits until the shell has printed `expected` and is ready for the next line. */
    async type(keys: string, expected: string): Promise<void> {
      await waitUntil("the first prompt", () => output !== "");
      const start = output.length;
      terminal.stdin.write(keys);
      await waitUntil(
        JSON.stringify(expected),
        () => {
          const found = output.indexOf(expected, start);
          if (found >= 0 && output.includes("ready> ", found)) return true;
          throw new Error(JSON.stringify(output.slice(start)));
        },
        { timeoutMs: TYPED_TIMEOUT_MS },
      );
    },
    async [Symbol.asyncDispose]() {
      terminal.kill("SIGKILL");
      await closed;
    },
  };
}
