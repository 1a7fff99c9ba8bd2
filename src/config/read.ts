/** Reads the configuration from disk, and again when it changes. */
import { readFileSync } from "node:fs";
import { messageOf } from "../core/error-message.ts";
import type { Configuration } from "./configuration.ts";
import { loadConfiguration, type ConfigurationFile } from "./load.ts";
import { InvalidConfigurationError, type Diagnostic } from "./diagnostics.ts";
import { watchFiles, type FileWatch } from "./watch.ts";

/** @throws InvalidConfigurationError with everything that is wrong, files that cannot be read included. */
export function readConfiguration(paths: readonly string[]): Configuration {
  return load(readFiles(paths));
}

/** What happens as the files change. */
export interface ReloadListener {
  onReload(configuration: Configuration): void;
  /** The last good configuration stays in force. */
  onFailure(error: InvalidConfigurationError): void;
}

/**
 * Reads the configuration again whenever its files hold something other than the last time; reports each fault once. What
 * is compared is what is loaded: a file may change between two readings.
 */
export function watchConfiguration(paths: readonly string[], listener: ReloadListener): FileWatch {
  let lastText = textOf(readFiles(paths));
  return watchFiles(paths, () => {
    const next = readFiles(paths);
    const text = textOf(next);
    if (text === lastText) return;
    lastText = text;
    try {
      listener.onReload(load(next));
    } catch (error) {
      if (!(error instanceof InvalidConfigurationError)) throw error;
      listener.onFailure(error);
    }
  });
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
    try {
      files.push({ path, text: readFileSync(path, "utf8") });
    } catch (error) {
      diagnostics.push({ location: { file: path, line: undefined, path: [] }, message: messageOf(error) });
    }
  }
  return { files, diagnostics };
}

function load({ files, diagnostics }: ReadFiles): Configuration {
  if (diagnostics.length > 0) throw new InvalidConfigurationError(diagnostics);
  return loadConfiguration(files);
}

/** What the files hold, or why they cannot be read. */
function textOf(read: ReadFiles): string {
  return JSON.stringify(read);
}
