import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { indexConfiguration } from "../../src/config/configuration.ts";
import { injectFiles } from "../../src/cli/inject.ts";
import type { ProgramIo } from "../../src/cli/program-io.ts";
import { readConfiguration } from "../../src/config/read.ts";
import type { RegistryIndex } from "../../src/core/registry.ts";
import { buildProgram, runProgram } from "../../src/cli/program.ts";

const GOLDEN = fileURLToPath(new URL("../golden", import.meta.url));
const REPOSITORY = path.resolve(GOLDEN, "../..");
const { version: VERSION } = JSON.parse(readFileSync(path.join(REPOSITORY, "package.json"), "utf8")) as {
  readonly version: string;
};
const isUpdate = process.env["UPDATE_GOLDEN"] === "1";
const SUFFIX = ".txt";
const OUTPUTS: readonly string[] = ["stdout", "stderr", "exit status"];
const NO_NEWLINE = "\n\\ No newline at end of file\n";

/**
 * One call of the program: `$ pullpass ARGUMENTS`, and sections, each below a line such as `-- stdin --`. They are the files that
 * the program finds where it runs, beside the other files of test/golden one level up, then `stdin`, and what comes out: `stdout`,
 * `stderr` and `exit status`, where there is any. UPDATE_GOLDEN=1 writes these again; read the diff.
 */
interface Golden {
  readonly args: readonly string[];
  /** By name, as bytes. */
  readonly sections: ReadonlyMap<string, Buffer>;
}

function readGolden(name: string): Golden {
  // A character a byte: some files are no UTF-8.
  const text = readFileSync(path.join(GOLDEN, name + SUFFIX), "latin1");
  const [command = "", ...rest] = text.split(/^-- (.+) --\n/m);
  const sections = new Map<string, Buffer>();
  for (let index = 0; index < rest.length; index += 2) {
    const [title = "", content = ""] = rest.slice(index, index + 2);
    const bytes = content.endsWith(NO_NEWLINE) ? content.slice(0, -NO_NEWLINE.length) : content;
    sections.set(title, Buffer.from(bytes, "latin1"));
  }
  const [dollar, program, ...args] = command.trim().replaceAll("REPOSITORY", REPOSITORY).split(" ");
  if (dollar !== "$" || program !== "pullpass") throw new Error(`${name}: ${command}`);
  return { args, sections };
}

function writeGolden(name: string, { args, sections }: Golden): void {
  const parts = [...sections].map(([title, content]) => {
    const text = content.toString("latin1");
    return `-- ${title} --\n${text}${text === "" || text.endsWith("\n") ? "" : NO_NEWLINE}`;
  });
  const command = ["$ pullpass", ...args].join(" ").replaceAll(REPOSITORY, "REPOSITORY");
  writeFileSync(path.join(GOLDEN, name + SUFFIX), [`${command}\n`, ...parts].join(""), "latin1");
}

const entries = readdirSync(GOLDEN);
const cases = entries.flatMap((entry) => (entry.endsWith(SUFFIX) ? entry.slice(0, -SUFFIX.length) : []));
const workDirectory = mkdtempSync(path.join(tmpdir(), "pullpass-golden-"));
for (const shared of entries.filter((entry) => !entry.endsWith(SUFFIX)))
  cpSync(path.join(GOLDEN, shared), path.join(workDirectory, shared));
for (const name of cases) {
  mkdirSync(path.join(workDirectory, name));
  for (const [title, content] of readGolden(name).sections) {
    if (title !== "stdin" && !OUTPUTS.includes(title))
      writeFileSync(path.join(workDirectory, name, title), content);
  }
}
afterAll(() => {
  process.chdir(REPOSITORY);
  rmSync(workDirectory, { recursive: true });
});

/** As main.ts does; test/cli/smoke.test.ts runs the built program. */
async function run(args: readonly string[], stdin: Buffer = Buffer.alloc(0)) {
  const out: Buffer[] = [];
  let stderr = "";
  const io: ProgramIo = {
    version: VERSION,
    // Whatever cluster the machine knows of is none of the test's.
    environment: { HOME: "/nonexistent", KUBECONFIG: "" },
    pages: new URL("file:///nonexistent/"),
    readStdin: () => Promise.resolve(stdin),
    isTerminal: false,
    writeOut: (output) => void out.push(Buffer.from(output)),
    writeError: (text) => void (stderr += text),
  };
  const status = await runProgram(buildProgram(io), args, io);
  return { stdout: Buffer.concat(out).toString(), stderr, status };
}

describe("the program writes what it always wrote", () => {
  it.each(cases)("%s", async (name) => {
    const { args, sections } = readGolden(name);
    process.chdir(path.join(workDirectory, name));
    const { stdout, stderr, status } = await run(args, sections.get("stdin"));
    const found = [
      stdout.replaceAll(REPOSITORY, "REPOSITORY"),
      stderr,
      status === 0 ? "" : `${String(status)}\n`,
    ];
    if (isUpdate) {
      const inputs = [...sections].filter(([title]) => !OUTPUTS.includes(title));
      const outputs = OUTPUTS.flatMap((title, index) => {
        const text = found[index] ?? "";
        return text === "" ? [] : [[title, Buffer.from(text)] as const];
      });
      writeGolden(name, { args, sections: new Map([...inputs, ...outputs]) });
    }
    expect(found).toEqual(OUTPUTS.map((title) => readGolden(name).sections.get(title)?.toString() ?? ""));
    // A config.json is what was asked for.
    const isConfigJson = name.startsWith("registries-docker-config");
    expect((isConfigJson ? "" : stdout) + stderr).not.toContain("made-up");
  });
});

describe("injecting into what was injected changes nothing", () => {
  const indexFor = (name: string, { args }: Golden): RegistryIndex => {
    const used = args[args.indexOf("--config") + 1] ?? "";
    return indexConfiguration(readConfiguration([path.join(workDirectory, name, used)]), true);
  };
  const injected = cases.flatMap((name) => {
    const golden = readGolden(name);
    const text = golden.sections.get("stdout")?.toString();
    return name.startsWith("inject-") && text !== undefined ? [{ name, golden, text }] : [];
  });

  it.each(injected)("$name", ({ name, golden, text }) => {
    expect(injectFiles([{ name, text }], indexFor(name, golden))).toMatchObject([{ text }]);
  });
});
