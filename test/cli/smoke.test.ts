/** What plain Node makes of `dist/`: no loader, no bundler, no test runner helps with its imports. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { MAIN, runPullpass } from "./run-pullpass.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DIST = path.dirname(MAIN);

function jsonOf(file: string): unknown {
  return JSON.parse(readFileSync(path.join(ROOT, file), "utf8"));
}

describe("dist under plain Node", () => {
  it("says its version", () => {
    const { version } = jsonOf("package.json") as { version: string };
    expect(runPullpass(["--version"], ROOT)).toEqual({ stdout: `${version}\n`, stderr: "", status: 0 });
  });

  it("imports every module, with the names that others want of it", () => {
    const modules = readdirSync(DIST, { recursive: true, encoding: "utf8" }).filter((file) =>
      file.endsWith(".js"),
    );
    expect(modules.length).toBeGreaterThan(30);
    const imports = modules
      .filter((file) => file !== "main.js")
      .map((file) => `await import(${JSON.stringify(pathToFileURL(path.join(DIST, file)).href)});`);
    const { stderr, status } = spawnSync(
      process.execPath,
      ["--input-type=module", "--eval", imports.join("\n")],
      {
        encoding: "utf8",
      },
    );
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
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
    expect(status).toBe(0);
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
