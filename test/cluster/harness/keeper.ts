import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** In the directory of a cluster that was started by hand: the process that keeps it. */
export const KEEPER_FILE = "keeper.pid";

/** What the keeper says to who started it. */
export type KeeperMessage =
  | { readonly kind: "progress"; readonly line: string }
  | { readonly kind: "ready"; readonly kubeconfig: string; readonly lines: readonly string[] }
  | { readonly kind: "failed"; readonly message: string };

export interface Keeper {
  readonly pid: number;
  readonly directory: string;
}

/** The keepers that run on this machine. */
export async function findKeepers(): Promise<readonly Keeper[]> {
  const keepers: Keeper[] = [];
  for (const name of await readdir(tmpdir())) {
    const directory = join(tmpdir(), name);
    if (!name.startsWith("pullpass-127-") || !existsSync(join(directory, KEEPER_FILE))) continue;
    const pid = Number(await readFile(join(directory, KEEPER_FILE), "utf8"));
    if (await isKeeper(pid)) keepers.push({ pid, directory });
  }
  return keepers;
}

/** A number may meanwhile be that of another process, which must not be ended. */
export async function isKeeper(pid: number): Promise<boolean> {
  try {
    return /\b(keep|demo)\.ts\b/.test(await readFile(`/proc/${String(pid)}/cmdline`, "utf8"));
  } catch {
    return false;
  }
}
