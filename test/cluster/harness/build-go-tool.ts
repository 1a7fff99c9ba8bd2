import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { aloneOnThisMachine, cacheDirectory } from "./cache.ts";
import { findExecutable, isExecutable, runCommand } from "./run-command.ts";
import { pinnedVersion, type GoTool } from "./tools.ts";

const PROGRESS_INTERVAL_MS = 10_000;
const UNFINISHED = "building-";

export class MissingGoError extends Error {
  override readonly name = "MissingGoError";

  constructor(tool: GoTool) {
    super(`${tool.name} is not built yet and Go is not installed`);
  }
}

/** The directory where a tool's programs are or will be; it is named after all that decides what is in it. */
export async function builtDirectory(tool: GoTool): Promise<string> {
  const hash = createHash("sha256");
  for (const name of (await readdir(tool.directory)).sort()) {
    hash.update(name).update(await readFile(join(tool.directory, name)));
  }
  const kept = tool.keeps === undefined ? [] : [tool.keeps];
  hash.update(JSON.stringify([process.arch, await buildArguments(tool), tool.links ?? [], ...kept]));
  const name = `${tool.name}-${await pinnedVersion(tool)}-${hash.digest("hex").slice(0, 12)}`;
  return join(cacheDirectory(), name);
}

export async function isBuilt(tool: GoTool): Promise<boolean> {
  return isExecutable(await builtDirectory(tool));
}

/** Builds a tool unless it is there already, and returns the directory of its programs. */
export async function buildGoTool(tool: GoTool, report: (line: string) => void): Promise<string> {
  const target = await builtDirectory(tool);
  if (await isExecutable(target)) return target;
  const go = await findExecutable("go");
  if (go === undefined) throw new MissingGoError(tool);
  await aloneOnThisMachine(tool.name, report, async () => {
    if (!(await isExecutable(target))) await build(go, tool, target, report);
  });
  return target;
}

async function build(
  go: string,
  tool: GoTool,
  target: string,
  report: (line: string) => void,
): Promise<void> {
  const started = Date.now();
  const title = `${tool.name} ${await pinnedVersion(tool)}`;
  await removeUnfinishedBuilds();
  const temporary = await mkdtemp(join(cacheDirectory(), UNFINISHED));
  let packages = 0;
  const seconds = () => String(Math.round((Date.now() - started) / 1000));
  const progress = () => {
    report(`${title}: ${String(packages)} packages compiled in ${seconds()} s`);
  };
  report(`${title}: building from source, once`);
  const timer = setInterval(progress, PROGRESS_INTERVAL_MS);
  try {
    const output = tool.program === undefined ? `${temporary}/` : join(temporary, tool.program);
    await runCommand(
      "setpriv",
      ["--pdeathsig", "TERM", "--", go, "build", "-v", "-o", output, ...(await buildArguments(tool))],
      {
        cwd: tool.directory,
        // Pure Go needs no C compiler, and its programs run on any Linux.
        env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" },
        onErrorLine: (line) => {
          if (/^[\w./-]+$/.test(line)) packages += 1;
        },
      },
    );
    if (tool.keeps !== undefined) await keepFiles(go, tool, tool.keeps, temporary);
    for (const link of tool.links ?? []) await symlink(tool.program ?? "", join(temporary, link));
    await rename(temporary, target);
    report(`${title}: built in ${seconds()} s`);
  } finally {
    clearInterval(timer);
    await rm(temporary, { recursive: true, force: true });
  }
}

async function keepFiles(go: string, tool: GoTool, directory: string, target: string): Promise<void> {
  const { stdout } = await runCommand(go, ["list", "-m", "-f", "{{.Dir}}", tool.versionModule ?? ""], {
    cwd: tool.directory,
    env: { ...process.env, GOFLAGS: "", GOWORK: "off" },
  });
  const from = join(stdout.trim(), directory);
  await mkdir(join(target, directory), { recursive: true });
  // One by one: Go's cache of modules can only be read, and so could a copy of its directories.
  for (const file of await readdir(from)) await copyFile(join(from, file), join(target, directory, file));
}

/** Only who holds the lock builds, so that whatever is unfinished then belongs to a builder that was killed. */
async function removeUnfinishedBuilds(): Promise<void> {
  for (const name of await readdir(cacheDirectory())) {
    if (name.startsWith(UNFINISHED)) await rm(join(cacheDirectory(), name), { recursive: true, force: true });
  }
}

async function buildArguments(tool: GoTool): Promise<readonly string[]> {
  const stamp = Object.entries(tool.stamp?.(await pinnedVersion(tool)) ?? {});
  const ldflags = ["-s", "-w", ...stamp.map(([name, value]) => `-X ${name}=${value}`)].join(" ");
  const tags = tool.tags === undefined ? [] : ["-tags", tool.tags.join(",")];
  return ["-mod=readonly", "-trimpath", "-buildvcs=false", ...tags, "-ldflags", ldflags, ...tool.packages];
}
