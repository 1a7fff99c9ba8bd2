import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where built programs are kept, for every clone of this repository. */
export function cacheDirectory(): string {
  const cacheHome = process.env["XDG_CACHE_HOME"];
  const home = cacheHome === undefined || cacheHome === "" ? join(homedir(), ".cache") : cacheHome;
  return join(home, "pullpass", "cluster");
}

/**
 * Runs `work`, which builds or installs something, while no other process of this user does. Two builds would only take
 * turns on the same cores and the same memory, and two package managers refuse to run at all.
 */
export async function aloneOnThisMachine<T>(
  what: string,
  report: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(cacheDirectory(), { recursive: true });
  const onWait = () => {
    report(`${what}: waiting for another process to finish building`);
  };
  return holdLock(join(cacheDirectory(), "build.lock"), onWait, work);
}

/**
 * Runs `work` while holding an exclusive lock on a file, after whoever else holds it. The kernel keeps the lock, so
 * that a process which dies with it, even by a signal, lets go of it.
 */
export async function holdLock<T>(file: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  // cat ends when our end of its input is closed, and the kernel closes it with us.
  const holder = spawn("flock", [file, "sh", "-c", "echo held; exec cat"], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(holder, "close");
  const timer = setTimeout(onWait, 1_000);
  try {
    const failed = ended.then(() => {
      throw new Error(`flock could not lock ${file}`);
    });
    await Promise.race([once(holder.stdout, "data"), failed]);
    failed.catch(() => undefined);
    clearTimeout(timer);
    return await work();
  } finally {
    clearTimeout(timer);
    holder.stdin.end();
    await ended;
  }
}
