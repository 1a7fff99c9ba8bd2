/** A cgroup with a memory limit, such as the kubelet makes for a container: version 1 or 2, whichever the machine has. */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { shippedFlags } from "../../bench/shipped-flags.ts";
import { waitUntil } from "../../wait-until.ts";

const MEBIBYTE = 1024 * 1024;

export interface MemoryCgroup {
  readonly limitBytes: number;
  /**
   * The command line that runs `node PROGRAM ARGUMENTS` in the cgroup, and with the image's flags for V8: what
   * `runReplica` takes. The process keeps its id. It also needs `shippedEnvironment()`.
   */
  readonly wrap: (command: readonly string[]) => readonly string[];
  /** The most memory that the processes used at once, page cache included, in bytes. */
  highWaterMark(): Promise<number>;
  /** How many processes the kernel killed because the limit was reached. */
  kills(): Promise<number>;
  /** Waits until the last process has ended. */
  remove(): Promise<void>;
}

interface CgroupFiles {
  /** The parent of all cgroups of ours. */
  readonly root: string;
  readonly limit: string;
  readonly peak: string;
  /** Holds a line `oom_kill N`. */
  readonly events: string;
}

const VERSION_1: CgroupFiles = {
  root: "/sys/fs/cgroup/memory",
  limit: "memory.limit_in_bytes",
  peak: "memory.max_usage_in_bytes",
  events: "memory.oom_control",
};

/** `memory.peak` needs Linux 5.19. */
const VERSION_2: CgroupFiles = {
  root: "/sys/fs/cgroup",
  limit: "memory.max",
  peak: "memory.peak",
  events: "memory.events",
};

/** The limit of a replica's memory, as the chart sets it. */
function chartMemoryLimit(): number {
  const file = join(import.meta.dirname, "..", "..", "..", "deploy", "pullpass", "values.yaml");
  const values = parse(readFileSync(file, "utf8")) as {
    readonly resources: { readonly limits: { readonly memory: string } };
  };
  const { memory } = values.resources.limits;
  const mebibytes = /^(\d+)Mi$/.exec(memory)?.[1];
  if (mebibytes === undefined) throw new Error(`the chart limits memory to ${memory}, which is not in Mi`);
  return Number(mebibytes) * MEBIBYTE;
}

/** @throws the system's error where this process may not make one; see whyNoMemoryCgroup. */
export async function createMemoryCgroup(
  name: string,
  limitBytes: number = chartMemoryLimit(),
): Promise<MemoryCgroup> {
  const files = existsSync(VERSION_1.root) ? VERSION_1 : VERSION_2;
  const directory = join(files.root, name);
  const read = (file: string): Promise<string> => readFile(join(directory, file), "utf8");
  // A cgroup of version 2 has only the controllers that its parent hands down.
  if (files === VERSION_2) await writeFile(join(files.root, "cgroup.subtree_control"), "+memory");
  await mkdir(directory);
  const remove = () =>
    waitUntil(`the cgroup ${name} to be empty`, async () => {
      await rmdir(directory);
      return true;
    });
  try {
    await writeFile(join(directory, files.limit), String(limitBytes));
    await read(files.peak);
  } catch (error: unknown) {
    await remove();
    throw error;
  }
  return {
    limitBytes,
    wrap([node = "", ...program]) {
      const enter = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', join(directory, "cgroup.procs")];
      return [...enter, node, ...shippedFlags(), ...program];
    },
    highWaterMark: async () => Number(await read(files.peak)),
    kills: async () => Number(/^oom_kill (\d+)$/m.exec(await read(files.events))?.[1]),
    async remove() {
      await remove();
    },
  };
}

/** Why this machine lets no memory cgroup be made; undefined where it does. Under `CI=true` that is an error. */
export async function whyNoMemoryCgroup(): Promise<string | undefined> {
  try {
    const cgroup = await createMemoryCgroup(`pullpass-try-${String(process.pid)}`);
    await cgroup.remove();
    return undefined;
  } catch (error: unknown) {
    const reason = `no cgroup with a memory limit can be made: ${String(error)}`;
    if (process.env["CI"] === "true") {
      throw new Error(`CI must run the memory tests: ${reason}`, { cause: error });
    }
    return reason;
  }
}
