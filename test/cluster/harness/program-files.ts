import { readFile } from "node:fs/promises";
import { CommandError, runCommand } from "./run-command.ts";
import type { TarEntry } from "./write-tar.ts";

/** A program of this machine and the libraries that it is linked with, each at its own path, for an image. */
export async function programFiles(program: string): Promise<readonly TarEntry[]> {
  const paths = [program, ...(await librariesOf(program))];
  return Promise.all(
    paths.map(async (path) => ({ name: path.slice(1), content: await readFile(path), mode: 0o755 })),
  );
}

/** Lines of ldd are `name => /path (address)`, or `/path (address)` for the loader; the kernel's own has no path. */
async function librariesOf(program: string): Promise<readonly string[]> {
  try {
    const { stdout } = await runCommand("ldd", [program]);
    return [...stdout.matchAll(/(?:^|=>)\s*(\/\S+) \(/gm)].map(([, path = ""]) => path);
  } catch (error) {
    // A program that is linked statically has none.
    if (error instanceof CommandError) return [];
    throw error;
  }
}
