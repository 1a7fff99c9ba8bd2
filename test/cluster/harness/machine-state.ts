import { readdir, readFile, readlink } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";

/** All that a cluster could change on a machine. What it was before a start, it must be after a stop. */
export interface MachineState {
  readonly mounts: readonly string[];
  readonly namespaces: readonly string[];
  readonly addresses: readonly string[];
  readonly cgroups: readonly string[];
  readonly clusterDirectories: readonly string[];
  /** Command lines of processes that have to do with any cluster of ours. */
  readonly processes: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
}

const CLUSTER_NAME = "pullpass-127-";

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
    namespaces: await readNamespaces(),
    addresses: Object.entries(networkInterfaces())
      .flatMap(([name, addresses = []]) => addresses.map(({ cidr }) => `${name} ${String(cidr)}`))
      .sort(),
    cgroups: await readCgroups(),
    clusterDirectories: (await readdir(tmpdir())).filter((name) => name.startsWith(CLUSTER_NAME)),
    processes: await readProcesses(),
    sysctls: Object.fromEntries(await readSysctls("/proc/sys")),
  };
}

async function readNamespaces(): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const pid of await processIds()) {
    for (const kind of ["mnt", "net", "pid"]) {
      const namespace = await readlink(`/proc/${pid}/ns/${kind}`).catch(() => undefined);
      if (namespace !== undefined) found.add(namespace);
    }
  }
  return [...found].sort();
}

async function readProcesses(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await processIds()) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (commandLine.includes(CLUSTER_NAME)) found.push(commandLine.replaceAll("\0", " ").trim());
  }
  return found.sort();
}

async function processIds(): Promise<readonly string[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
}

async function readCgroups(): Promise<readonly string[]> {
  const root = "/sys/fs/cgroup";
  const found: string[] = [];
  for (const hierarchy of ["", ...(await readdir(root))]) {
    const names = await readdir(join(root, hierarchy)).catch(() => []);
    found.push(...names.filter((name) => name.startsWith(CLUSTER_NAME)).map((name) => join(hierarchy, name)));
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
