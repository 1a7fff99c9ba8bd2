import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { holdLock } from "./hold-lock.ts";

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
