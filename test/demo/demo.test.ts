/** The demo ends, and everything that it started with it, when nobody reads on or a signal comes. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const ROOT = path.join(import.meta.dirname, "../..");

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "pullpass-demo-test-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

it.each([
  ["its output goes to head", `"$0" test/demo/demo.ts | head -n 2`],
  [
    "it gets SIGTERM",
    // Its output is held until the signal was sent, so that it cannot end before.
    `exec 3< <("$0" test/demo/demo.ts); pid=$!; head -n 2 <&3; kill $pid; cat <&3 >/dev/null; wait $pid`,
  ],
])("no process and no file is left when %s", async (_, script) => {
  const child = spawn("bash", ["-c", script, process.execPath], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: directory },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
  // The server has the same standard error, which is open for as long as it runs.
  await new Promise((resolve) => child.once("close", resolve));
  expect(stderr).toBe("");
  const url = /Webhook (\S+),/.exec(stdout)?.[1] ?? "";
  await expect(fetch(url, { method: "POST" })).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  expect(readdirSync(directory)).toEqual([]);
});
