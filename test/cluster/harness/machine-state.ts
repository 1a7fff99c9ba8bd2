import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import type { ClusterLevel } from "./availability.ts";

/** The machine's own settings that a cluster could change. What they were before a start, they must be after a stop. */
export interface MachineState {
  readonly mounts: readonly string[];
  readonly addresses: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
}

/** What there is of one cluster on the machine. Other clusters may come and go meanwhile. */
export interface ClusterTraces {
  readonly directories: readonly string[];
  readonly cgroups: readonly string[];
  /** Command lines of the processes that work for it; with the last one its namespaces go. */
  readonly processes: readonly string[];
}

export const NO_TRACES: ClusterTraces = { directories: [], cgroups: [], processes: [] };

/** Settings which the kernel counts up by itself. */
const VOLATILE_SYSCTLS =
  /^(fs\/(dentry-state|inode-|file-nr|aio-nr|quota\/)|kernel\/(random|ns_last_pid|pty\/nr|sched|perf_)|net\/netfilter)/;

export async function readMachineState(): Promise<MachineState> {
  const mountinfo = await readFile("/proc/self/mountinfo", "utf8");
  return {
    // The first two numbers of a line say nothing about the mount itself.
    mounts: mountinfo
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ").slice(2).join(" "))
      .sort(),
    addresses: Object.entries(networkInterfaces())
      .flatMap(([name, addresses = []]) => addresses.map(({ cidr }) => `${name} ${String(cidr)}`))
      .sort(),
    sysctls: Object.fromEntries(await readSysctls("/proc/sys")),
  };
}

export async function readClusterTraces(clusterName: string): Promise<ClusterTraces> {
  return {
    directories: (await readdir(tmpdir())).filter((name) => name === clusterName),
    cgroups: await readCgroups(clusterName),
    processes: await readProcesses(clusterName),
  };
}

/** Its name is in their command line, their cgroup, or a mount that they see: every directory of a cluster has it. */
async function readProcesses(clusterName: string): Promise<readonly string[]> {
  // Another cluster's name may start with this one's.
  const itsName = new RegExp(`${clusterName}(?!\\d)`);
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const commandLine = (await read("cmdline")).replaceAll("\0", " ").trim();
    const facts = [commandLine, await read("cgroup"), await read("mountinfo")];
    // What has just ended has no command line.
    if (commandLine !== "" && facts.some((text) => itsName.test(text))) found.push(commandLine);
  }
  return found.sort();
}

async function readCgroups(clusterName: string): Promise<readonly string[]> {
  const root = "/sys/fs/cgroup";
  const found: string[] = [];
  for (const hierarchy of ["", ...(await readdir(root))]) {
    const names = await readdir(join(root, hierarchy)).catch(() => []);
    found.push(...names.filter((name) => name === clusterName).map((name) => join(hierarchy, name)));
  }
  return found;
}

async function readSysctls(directory: string): Promise<readonly (readonly [string, string])[]> {
  const found: (readonly [string, string])[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      found.push(...(await readSysctls(path)));
    } else if (!VOLATILE_SYSCTLS.test(path.slice("/proc/sys/".length))) {
      // Some can only be written.
      const value = await readFile(path, "utf8").catch(() => undefined);
      if (value !== undefined) found.push([path, value]);
    }
  }
  return found;
}

export interface ClusterInChild {
  /** Of the cluster. */
  readonly name: string;
  /** Sends a signal to the child's whole process group, as a terminal does, and waits until the child has ended. */
  signal(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a cluster in another process, so that this process can see what is left when that one is killed. */
export async function startInChild(level: ClusterLevel): Promise<ClusterInChild> {
  const module = level === "node" ? "node-cluster.ts" : "cluster.ts";
  const start = level === "node" ? "startNodeCluster" : "startCluster";
  // A module of its own that is not written to disk; nothing in it handles signals.
  const script = `const { ${start} } = await import(${JSON.stringify(join(import.meta.dirname, module))});
    const { network } = await ${start}();
    console.log(network.name);
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: join(import.meta.dirname, "..", "..", ".."),
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const started = await Promise.race([once(child.stdout, "data"), ended.then(() => undefined)]);
  if (started === undefined) throw new Error(`the child that should have started a cluster ended`);
  return {
    name: String(started[0]).trim(),
    async signal(signal) {
      process.kill(-(child.pid ?? NaN), signal);
      await ended;
    },
  };
}
