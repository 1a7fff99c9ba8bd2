/**
 * Each directory of test/golden is one call of the program, which runs in it: `args`, one a line, maybe `stdin`, and
 * the expected `stdout`, `stderr` and `status`. UPDATE_GOLDEN=1 writes those again; read the diff.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { indexConfiguration } from "../../src/config/configuration.ts";
import { injectFiles } from "../../src/cli/inject.ts";
import { readConfiguration } from "../../src/config/read.ts";
import type { RegistryIndex } from "../../src/core/registry.ts";
import { runPullpass, type ProgramResult } from "./run-pullpass.ts";

const GOLDEN = fileURLToPath(new URL("../golden", import.meta.url));
const REPOSITORY = path.resolve(GOLDEN, "../..");
const isUpdate = process.env["UPDATE_GOLDEN"] === "1";
const cases = readdirSync(GOLDEN, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? entry.name : [],
);

function readOr(file: string, otherwise: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : otherwise;
}

function linesOf(text: string): readonly string[] {
  return text === "" ? [] : text.trimEnd().split("\n");
}

function run(directory: string): ProgramResult {
  const args = linesOf(readOr(path.join(directory, "args"), ""));
  const { stdout, stderr, status } = runPullpass(args, directory, readOr(path.join(directory, "stdin"), ""));
  return { stdout: stdout.replaceAll(REPOSITORY, "REPOSITORY"), stderr, status };
}

function update(directory: string, { stdout, stderr, status }: ProgramResult): void {
  writeFileSync(path.join(directory, "stdout"), stdout);
  writeFileSync(path.join(directory, "stderr"), stderr);
  writeFileSync(path.join(directory, "status"), `${String(status)}\n`);
}

describe("the program writes what it always wrote", () => {
  it.each(cases)("%s", (name) => {
    const directory = path.join(GOLDEN, name);
    const result = run(directory);
    if (isUpdate) update(directory, result);
    expect(result).toEqual({
      stdout: readOr(path.join(directory, "stdout"), "no file"),
      stderr: readOr(path.join(directory, "stderr"), "no file"),
      status: Number(readOr(path.join(directory, "status"), "NaN")),
    });
    // A config.json is what was asked for.
    const isConfigJson = name.startsWith("registries-docker-config");
    expect((isConfigJson ? "" : result.stdout) + result.stderr).not.toContain("made-up");
  });
});

describe("injecting into what was injected changes nothing", () => {
  /** Of the configuration that the call itself used. */
  const indexFor = (name: string): RegistryIndex => {
    const args = linesOf(readOr(path.join(GOLDEN, name, "args"), ""));
    const used = path.join(GOLDEN, name, args[args.indexOf("--config") + 1] ?? "");
    const configuration = readConfiguration([existsSync(used) ? used : path.join(GOLDEN, "pullpass.yaml")]);
    return indexConfiguration(configuration, true);
  };

  it.each(cases.filter((name) => name.startsWith("inject-")))("%s", (name) => {
    const text = readOr(path.join(GOLDEN, name, "stdout"), "");
    expect(injectFiles([{ name, text }], indexFor(name))).toMatchObject([{ text }]);
  });
});
