import { spawn } from "node:child_process";
import { once } from "node:events";

/** Undoes, in reverse order, what was done to start something. */
export class Teardown {
  readonly #steps: (() => Promise<void> | void)[] = [];

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Runs every step even when one fails, because a step that is left out leaves something behind on the machine. */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error: unknown) {
        failures.push(error);
      }
    }
    if (failures.length > 0)
      throw new AggregateError(failures, `${String(failures.length)} steps of a stop failed`);
  }
}

/** Runs `start`; when it fails, what it had started so far is stopped before the error goes on. */
export async function startOrUndo<T>(start: (teardown: Teardown) => Promise<T>): Promise<T> {
  const teardown = new Teardown();
  try {
    return await start(teardown);
  } catch (error: unknown) {
    await teardown.run();
    throw error;
  }
}

/**
 * A process that outlives its parent by a moment and removes what the kernel does not: directories and cgroups.
 *
 * All daemons die with the process that started them, because the kernel kills them then (see run-daemon.ts). What
 * they leave on disk is removed here, in one place, after a stop as after a killed test: the watchdog reads a pipe whose
 * other end only its parent holds, and so sees both.
 */
export interface Watchdog {
  /** Lets it clean up now, and waits until it has. */
  release(): Promise<void>;
}

// Signals of a terminal are ignored: Ctrl-C reaches the whole process group, and the work begins after it.
// A daemon that was just killed may hold its cgroup for a moment, hence the loop: 200 times 50 ms are 10 s.
const SCRIPT = `
trap '' INT TERM HUP
cat > /dev/null
i=0
while [ $i -lt 200 ]; do
  left=
  for cgroup in /sys/fs/cgroup/"$2" /sys/fs/cgroup/*/"$2"; do
    [ -d "$cgroup" ] || continue
    find "$cgroup" -depth -type d -exec rmdir {} + 2> /dev/null
    [ -d "$cgroup" ] && left=1
  done
  rm -rf "$1" 2> /dev/null || left=1
  [ -z "$left" ] && exit 0
  i=$((i + 1))
  sleep 0.05
done
exit 1
`;

export function startWatchdog(directory: string, cgroupName: string): Watchdog {
  const child = spawn("sh", ["-c", SCRIPT, "pullpass-watchdog", directory, cgroupName], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "inherit"],
  });
  const ended = once(child, "close");
  return {
    async release() {
      child.stdin.end();
      await ended;
      if (child.exitCode !== 0)
        throw new Error(`${directory} or a cgroup ${cgroupName} could not be removed`);
    },
  };
}
