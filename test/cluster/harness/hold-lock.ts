import { spawn } from "node:child_process";
import { once } from "node:events";

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
