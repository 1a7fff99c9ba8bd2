/** The program as a process: what it does with files, signals and ports. */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";
import { operationsIn, recordedReview, responseIn } from "../http/recorded-review.ts";
import { postReview } from "../send-request.ts";
import { swapMount } from "../swap-mount.ts";
import { waitUntil } from "../wait-until.ts";
import { startServe, type ServeProcess } from "./start-serve.ts";

const REVIEW = JSON.stringify(recordedReview("01-create-bare-pod-kubectl-apply.json"));

let directory: string;
let process_: ChildProcess | undefined;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "pullpass-serve-"));
});
afterEach(() => {
  process_?.kill("SIGKILL");
  rmSync(directory, { recursive: true });
});

interface RunningProgram extends ServeProcess {
  readonly url: string;
  readonly adminUrl: string;
}

/** Starts `serve --standalone` and waits for its "ready". */
async function start(...flags: readonly string[]): Promise<RunningProgram> {
  const started = startServe(["--standalone", ...flags]);
  process_ = started.child;
  const ready = await started.logged("ready");
  return { ...started, url: String(ready["url"]), adminUrl: String(ready["adminUrl"]) };
}

function configuration(secretName: string): string {
  return `registries:\n  - { name: local, address: "127.0.0.1:5000", secretName: ${secretName} }\n`;
}

function write(name: string, text: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, text);
  return file;
}

async function certificateFiles(): Promise<Readonly<Record<"tls.crt" | "tls.key", string>>> {
  const { certificate, privateKey } = await makeSelfSignedCertificate(["localhost", "127.0.0.1"], new Date());
  return { "tls.crt": certificate, "tls.key": privateKey };
}

async function injectedSecret(url: string, ca: string): Promise<unknown> {
  const answer = await postReview(url, ca, { body: REVIEW });
  const [operation] = operationsIn(responseIn(answer.body));
  return operation !== undefined && "value" in operation ? operation.value : undefined;
}

async function metric(adminUrl: string, pattern: RegExp): Promise<string | undefined> {
  const response = await fetch(new URL("/metrics", adminUrl));
  return pattern.exec(await response.text())?.[0];
}

describe("pullpass serve --standalone", () => {
  it("answers reviews, logs a line for each, and counts them", async () => {
    const { "tls.crt": ca, "tls.key": key } = await certificateFiles();
    const tls = ["--tls-cert", write("tls.crt", ca), "--tls-key", write("tls.key", key)];
    const { url, adminUrl, logged } = await start(
      "--config",
      write("pullpass.yaml", configuration("regcred")),
      ...tls,
    );

    expect(await injectedSecret(url, ca)).toEqual([{ name: "regcred" }]);
    const line = await logged("review");
    expect(line).toMatchObject({
      uid: "63df8efa-f7e4-4bd9-8385-52e0c61edcc9",
      namespace: "probe",
      decision: "inject",
      reason: "needed",
      registries: ["local"],
    });
    expect(line["durationMs"]).toBeTypeOf("number");
    expect(await metric(adminUrl, /pullpass_reviews_total\{.*/)).toBe(
      'pullpass_reviews_total{decision="inject",reason="needed"} 1',
    );
    expect((await fetch(new URL("/healthz", adminUrl))).status).toBe(200);
    expect((await fetch(new URL("/readyz", adminUrl))).status).toBe(200);
  });

  it("says at its start which registries it keeps from all namespaces, whose labels it does not know", async () => {
    const limited = `  - { name: limited, address: quay.io, namespaces: { matchLabels: { team: a } } }\n`;
    const config = write("pullpass.yaml", configuration("regcred") + limited);
    const { logged } = await start("--config", config, "--tls-self-signed");
    expect(
      await logged("--standalone injects no registry that is limited to certain namespaces"),
    ).toMatchObject({ registries: ["limited"] });
  });

  it("takes over a configuration that kubelet swaps, and keeps the last good one when the new one is wrong", async () => {
    const tls = await certificateFiles();
    const mount = path.join(directory, "config");
    await swapMount(mount, "1", { "pullpass.yaml": configuration("first") });
    const ca = tls["tls.crt"];
    const flags = ["--tls-cert", write("tls.crt", ca), "--tls-key", write("tls.key", tls["tls.key"])];
    const { url, adminUrl, lines, logged } = await start(
      "--config",
      path.join(mount, "pullpass.yaml"),
      ...flags,
    );
    expect(await injectedSecret(url, ca)).toEqual([{ name: "first" }]);

    await swapMount(mount, "2", { "pullpass.yaml": configuration("second") });
    await logged("configuration reloaded");
    expect(await injectedSecret(url, ca)).toEqual([{ name: "second" }]);

    await swapMount(mount, "3", {
      "pullpass.yaml": "registries: [{ name: local, password: made-up-by-a-test }]",
    });
    const failure = await waitUntil("an error", () => lines.find(({ level }) => level === "error"));
    expect(failure["error"]).toContain("pullpass.yaml:1: registries[0] (local).password: unknown key");
    expect(JSON.stringify(lines)).not.toContain("made-up-by-a-test");
    expect(await injectedSecret(url, ca)).toEqual([{ name: "second" }]);
    expect(await metric(adminUrl, /pullpass_configuration_reloads_total\{result="bad"\} \d/)).toMatch(/ 1$/);
  });

  it("serves a certificate that is swapped on disk to the next connection, and finishes what is under way", async () => {
    const [old, next] = await Promise.all([certificateFiles(), certificateFiles()]);
    const mount = path.join(directory, "tls");
    await swapMount(mount, "1", old);
    const tls = ["--tls-cert", path.join(mount, "tls.crt"), "--tls-key", path.join(mount, "tls.key")];
    const { url, logged } = await start("--config", write("pullpass.yaml", configuration("regcred")), ...tls);

    const underWay = openRequest(url, old["tls.crt"]);
    await underWay.isOpen;
    await swapMount(mount, "2", next);
    await logged("certificate swapped");
    expect(await injectedSecret(url, next["tls.crt"])).toEqual([{ name: "regcred" }]);
    expect(await underWay.finish(REVIEW)).toBe(200);
  });

  it("keeps the old certificate while the new key is not there yet", async () => {
    const [old, next] = await Promise.all([certificateFiles(), certificateFiles()]);
    const tls = [
      "--tls-cert",
      write("tls.crt", old["tls.crt"]),
      "--tls-key",
      write("tls.key", old["tls.key"]),
    ];
    const { url, lines, logged } = await start(
      "--config",
      write("pullpass.yaml", configuration("regcred")),
      ...tls,
    );
    write("tls.crt", next["tls.crt"]);
    const failure = await waitUntil("an error", () => lines.find(({ level }) => level === "error"));
    expect(failure["error"]).toMatch(/does not belong to the certificate/);
    expect(await injectedSecret(url, old["tls.crt"])).toBeDefined();
    write("tls.key", next["tls.key"]);
    await logged("certificate swapped");
    expect(await injectedSecret(url, next["tls.crt"])).toBeDefined();
  });

  it("on SIGTERM is no longer ready at once, goes on answering for the delay, finishes what is under way, and ends with 0", async () => {
    const { "tls.crt": ca, "tls.key": key } = await certificateFiles();
    const tls = ["--tls-cert", write("tls.crt", ca), "--tls-key", write("tls.key", key)];
    const config = write("pullpass.yaml", configuration("regcred"));
    const { url, adminUrl, child, exit } = await start("--config", config, ...tls, "--shutdown-delay", "1.5");
    const underWay = openRequest(url, ca);
    await underWay.isOpen;

    child.kill("SIGTERM");
    await setTimeout(200);
    const readiness = await fetch(new URL("/readyz", adminUrl));
    expect([readiness.status, await readiness.text()]).toEqual([503, "shutting down\n"]);
    const answer = await postReview(url, ca, { body: REVIEW });
    expect(answer).toMatchObject({ status: 200, headers: { connection: "close" } });

    await setTimeout(2_000);
    await expect(postReview(url, ca, { body: REVIEW })).rejects.toThrow(/ECONNREFUSED/);
    expect(await underWay.finish(REVIEW)).toBe(200);
    expect(await exit).toEqual({ status: 0, stderr: "" });
  });

  it("on SIGINT ends without the delay", async () => {
    const config = write("pullpass.yaml", configuration("regcred"));
    const { child, exit, lines } = await start("--config", config, "--tls-self-signed");
    const start_ = Date.now();
    child.kill("SIGINT");
    expect(await exit).toEqual({ status: 0, stderr: "" });
    expect(Date.now() - start_).toBeLessThan(4_000);
    expect(lines.at(-1)).toMatchObject({ msg: "stopped" });
  });
});

interface OpenRequest {
  readonly isOpen: Promise<void>;
  /** Sends the body; the answer's status. */
  finish(body: string): Promise<number>;
}

function openRequest(url: string, ca: string): OpenRequest {
  const headers = {
    "content-type": "application/json",
    expect: "100-continue",
    "transfer-encoding": "chunked",
  };
  const outgoing = request(new URL("/mutate", url), { method: "POST", ca, headers });
  const isOpen = new Promise<void>((resolve) => outgoing.once("continue", resolve));
  const status = new Promise<number>((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      incoming.resume();
      resolve(incoming.statusCode ?? 0);
    });
  });
  outgoing.flushHeaders();
  return {
    isOpen,
    finish(body) {
      outgoing.end(body);
      return status;
    },
  };
}
