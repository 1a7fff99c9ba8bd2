/** Notices when files change, also when they are swapped as a whole. */
import { watch, type FSWatcher } from "node:fs";
import path from "node:path";

export interface FileWatch {
  close(): void;
}

/** A swap is several events: kubelet makes a directory, links it and renames the link. */
const QUIET_MS = 100;
/** Looks without being told, in case the system tells nothing (some network file systems, a directory that was replaced). */
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
