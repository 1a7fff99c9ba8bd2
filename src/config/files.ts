/** Reads files, and notices when they change, also when they are swapped as a whole. */
import { readFileSync, watch, type FSWatcher } from "node:fs";
import path from "node:path";
import { getSystemErrorMessage } from "node:util";

/** Thrown by {@link readBytes}, without the system's own error: its message holds the path. */
export class UnreadableFileError extends Error {
  override readonly name = "UnreadableFileError";
}

/**
 * Says why a file cannot be read without naming it: what looks like a path may be a password.
 *
 * @throws UnreadableFileError with the system's code and its meaning: `ENOENT: no such file or directory`.
 */
export function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code = "unknown error", errno } = error as NodeJS.ErrnoException;
    throw new UnreadableFileError(errno === undefined ? code : `${code}: ${getSystemErrorMessage(errno)}`);
  }
}

export interface FileWatch {
  close(): void;
}

/** A swap is several events: kubelet makes a directory, links it and renames the link. */
const QUIET_MS = 100;
/** For changes that the system does not report (some network file systems, a directory that was replaced). */
const SAFETY_INTERVAL_MS = 60_000;

/**
 * Calls `onChange` some time after anything changed in a directory that holds one of the files; the caller reads the
 * files and compares. Directories are watched because a watch on a file ends with its first swap (kubelet replaces the
 * files of a mounted Secret or ConfigMap by renaming a symbolic link beside them).
 */
export function watchFiles(files: readonly string[], onChange: () => void): FileWatch {
  let quiet: NodeJS.Timeout | undefined;
  const schedule = (): void => {
    clearTimeout(quiet);
    quiet = setTimeout(onChange, QUIET_MS);
  };
  const directories = [...new Set(files.map((file) => path.dirname(path.resolve(file))))];
  const watchers = directories.map((directory) => watchDirectory(directory, schedule));
  const safety = setInterval(onChange, SAFETY_INTERVAL_MS).unref();
  return {
    close() {
      clearTimeout(quiet);
      clearInterval(safety);
      for (const watcher of watchers) watcher?.close();
    },
  };
}

/** Undefined if the directory cannot be watched; the safety interval is left then. */
function watchDirectory(directory: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onEvent);
    watcher.on("error", () => {
      watcher.close();
    });
    return watcher;
  } catch {
    return undefined;
  }
}
