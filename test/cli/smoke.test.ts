/** The built program. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runPullpass } from "./run-pullpass.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function jsonOf(file: string): unknown {
  return JSON.parse(readFileSync(path.join(ROOT, file), "utf8"));
}

describe("dist/main.js", () => {
  it("says its version", () => {
    const { version } = jsonOf("package.json") as { version: string };
    expect(runPullpass(["--version"], ROOT)).toEqual({ stdout: `${version}\n`, stderr: "", status: 0 });
  });
});

interface ReferenceRow {
  readonly input: string;
  readonly valid: boolean;
  readonly domain: string;
  readonly path: string;
  readonly tag: string | null;
  readonly digest: string | null;
}

describe("explain --json", () => {
  it("reads every image of the table of references as kubelet does", () => {
    const { rows } = jsonOf("test/fixtures/cases/reference.json") as { rows: readonly ReferenceRow[] };
    const args = ["explain", "--json", "--config", "deploy/examples/pullpass.yaml", "--"];
    const { stdout, status } = runPullpass([...args, ...rows.map(({ input }) => input)], ROOT);
    // Some of them are no references.
    expect(status).toBe(1);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject(
      rows.map(({ input, valid, domain, path: repository, tag, digest }) => ({
        image: input,
        valid,
        reference: valid ? { domain, path: repository, tag, digest } : null,
      })),
    );
  });
});
