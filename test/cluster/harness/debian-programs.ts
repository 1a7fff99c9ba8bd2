import { existsSync } from "node:fs";
import { aloneOnThisMachine } from "./cache.ts";
import { findExecutable, runCommand } from "./run-command.ts";

/** Programs that Debian packages, and the oldest versions that are known to work. */
const PROGRAMS = [
  { program: "containerd", debianPackage: "containerd", atLeast: "1.6", versionArgs: ["--version"] },
  { program: "runc", debianPackage: "runc", atLeast: "1.1", versionArgs: ["--version"] },
  {
    program: "docker-registry",
    debianPackage: "docker-registry",
    atLeast: "2.8",
    versionArgs: ["--version"],
  },
  { program: "skopeo", debianPackage: "skopeo", atLeast: "1.9", versionArgs: ["--version"] },
  { program: "buildah", debianPackage: "buildah", atLeast: "1.28", versionArgs: ["--version"] },
  { program: "htpasswd", debianPackage: "apache2-utils", atLeast: undefined, versionArgs: [] },
  { program: "ip", debianPackage: "iproute2", atLeast: undefined, versionArgs: [] },
  { program: "wrk", debianPackage: "wrk", atLeast: undefined, versionArgs: [] },
  { program: "zsh", debianPackage: "zsh", atLeast: undefined, versionArgs: [] },
  { program: "fish", debianPackage: "fish", atLeast: undefined, versionArgs: [] },
  { program: "chromium", debianPackage: "chromium", atLeast: undefined, versionArgs: [] },
] as const;

type DebianProgram = (typeof PROGRAMS)[number]["program"];

/** What the node level needs. */
export const NODE_PROGRAMS = ["runc", "docker-registry", "skopeo", "htpasswd", "ip"] as const;

/** What completion is tested in, besides bash. */
export const SHELLS = ["zsh", "fish"] as const;

/** What the console's pages are tested in. */
export const BROWSERS = ["chromium"] as const;

export type NodePrograms = Readonly<Record<(typeof NODE_PROGRAMS)[number], string>>;

/** The packages that would have to be installed. */
export async function missingDebianPackages(needed: readonly DebianProgram[]): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const { program, debianPackage } of PROGRAMS.filter((entry) => needed.includes(entry.program))) {
    if ((await findExecutable(program)) === undefined) missing.push(debianPackage);
  }
  return missing;
}

/** Installs what is missing, which needs root, and returns where the programs are. */
export async function requireDebianPrograms<Program extends DebianProgram>(
  needed: readonly Program[],
  report: (line: string) => void,
): Promise<Readonly<Record<Program, string>>> {
  if ((await missingDebianPackages(needed)).length > 0)
    await aloneOnThisMachine("packages", report, () => install(needed, report));
  const paths: Partial<Record<DebianProgram, string>> = {};
  for (const { program, debianPackage, atLeast, versionArgs } of PROGRAMS) {
    if (!needed.some((name) => name === program)) continue;
    const path = await findExecutable(program);
    if (path === undefined) throw new Error(`${program} is missing: apt-get install ${debianPackage}`);
    if (atLeast !== undefined) await requireVersion(path, versionArgs, atLeast);
    paths[program] = path;
  }
  return paths as Readonly<Record<Program, string>>;
}

/**
 * Packages are installed only where that starts no service: Debian starts a registry as soon as it is installed, but
 * not in a container or a bare virtual machine, where nothing like systemd runs.
 */
export async function canInstallPackages(): Promise<boolean> {
  const isBare = !existsSync("/run/systemd/system");
  return isBare && process.getuid?.() === 0 && (await findExecutable("apt-get")) !== undefined;
}

async function install(needed: readonly DebianProgram[], report: (line: string) => void): Promise<void> {
  const packages = await missingDebianPackages(needed);
  if (packages.length === 0 || !(await canInstallPackages())) return;
  report(`installing ${packages.join(", ")}`);
  const options = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  await runCommand("apt-get", ["update"], options);
  await runCommand("apt-get", ["install", "--yes", "--no-install-recommends", ...packages], options);
}

async function requireVersion(program: string, args: readonly string[], atLeast: string): Promise<void> {
  const { stdout, stderr } = await runCommand(program, args);
  const found = /(\d+)\.(\d+)/.exec(`${stdout}${stderr}`.replace(/^.*?(?=\d+\.\d+\.)/s, ""));
  const [major = 0, minor = 0] = atLeast.split(".").map(Number);
  const foundMajor = Number(found?.[1] ?? 0);
  if (foundMajor !== major || Number(found?.[2] ?? 0) < minor) {
    throw new Error(
      `${program} is version ${found?.[0] ?? "unknown"}; the tests need ${atLeast} or a later ${String(major)}.x`,
    );
  }
}
