/** Reads the configuration from disk, and again when it changes. */
import { isUtf8 } from "node:buffer";
import { decodeUtf8 } from "../core/credential.ts";
import type { Configuration } from "./configuration.ts";
import { loadConfiguration, type ConfigurationFile } from "./load.ts";
import { InvalidConfigurationError, type Diagnostic } from "./diagnostics.ts";
import { readBytes, UnreadableFileError, watchFiles, type FileWatch } from "./files.ts";

/** @throws InvalidConfigurationError with everything that is wrong, files that cannot be read included. */
export function readConfiguration(paths: readonly string[]): Configuration {
  return load(readFiles(paths));
}

export interface WatchableConfiguration {
  readonly configuration: Configuration;
  /** What the files held: a later reading is compared with it. */
  readonly content: string;
}

/** For {@link watchConfiguration}, which may begin much later. @throws as {@link readConfiguration} */
export function readToWatch(paths: readonly string[]): WatchableConfiguration {
  const read = readFiles(paths);
  return { configuration: load(read), content: contentOf(read) };
}

/** @throws InvalidConfigurationError if whoever reads the configuration cannot use it, valid as it is. */
export type CheckUse = (configuration: Configuration) => void;

/** What happens as the files change. */
export interface ReloadListener {
  onReload(configuration: Configuration): void;
  /** The last good configuration stays in force. */
  onFailure(error: InvalidConfigurationError): void;
}

/**
 * Reads the configuration again at once, and whenever its files hold something other than the last time, which was `content`; reports
 * each fault once. What is compared is what is loaded: a file may change between two readings.
 */
export function watchConfiguration(
  paths: readonly string[],
  content: string,
  check: CheckUse,
  listener: ReloadListener,
): FileWatch {
  let lastContent = content;
  const look = (): void => {
    const next = readFiles(paths);
    const nextContent = contentOf(next);
    if (nextContent === lastContent) return;
    lastContent = nextContent;
    try {
      const configuration = load(next);
      check(configuration);
      listener.onReload(configuration);
    } catch (error) {
      if (!(error instanceof InvalidConfigurationError)) throw error;
      listener.onFailure(error);
    }
  };
  const watch = watchFiles(paths, look);
  look();
  return watch;
}

interface ReadFiles {
  readonly files: readonly ConfigurationFile[];
  /** Files that cannot be read. */
  readonly diagnostics: readonly Diagnostic[];
}

function readFiles(paths: readonly string[]): ReadFiles {
  const files: ConfigurationFile[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const path of paths) {
    const result = readText(path);
    if (typeof result === "string") files.push({ path, text: result });
    else diagnostics.push(result);
  }
  return { files, diagnostics };
}

function readText(file: string): string | Diagnostic {
  const error = (message: string, line?: number): Diagnostic => ({
    location: { file, line, path: [] },
    message,
  });
  try {
    const bytes = readBytes(file);
    return decodeUtf8(bytes) ?? error("is not UTF-8", lineOfFirstBadByte(bytes));
  } catch (thrown) {
    if (!(thrown instanceof UnreadableFileError)) throw thrown;
    return error(`cannot be read: ${thrown.message}`);
  }
}

/** From 1. In UTF-8 no other character contains the byte of a line break. */
function lineOfFirstBadByte(bytes: Uint8Array): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    const next = end < 0 ? bytes.length : end + 1;
    if (!isUtf8(bytes.subarray(start, next))) return line;
    start = next;
  }
  return line;
}

function load({ files, diagnostics }: ReadFiles): Configuration {
  if (diagnostics.length > 0) throw new InvalidConfigurationError(diagnostics);
  return loadConfiguration(files);
}

/** What the files hold, or why they cannot be read. */
function contentOf(read: ReadFiles): string {
  return JSON.stringify(read);
}
