/**
 * What is wrong with a configuration, and where.
 *
 * People put passwords into the wrong field, so a message never repeats a value. What it may show is what Pullpass
 * publishes in any case, to everybody who may read a pod or a namespace's Secrets' names:
 *
 * shown                                    | where it is published
 * a registry's or a builder's `name`       | the annotation `pullpass.dev/injected`, metrics, logs
 * `address`, once it is parsed             | the host and path that images in pods are written with
 * `secretName`, the `name` of a Secret     | `imagePullSecrets` of pods; requests to the API server
 * keys that the schema knows               | the documentation
 *
 * Everything else is not shown: user names, file paths, names of variables, labels and their values, keys that the schema
 * does not know, and names and addresses that are not valid.
 */

/** A key or an index on the way into a document. */
export type KeyPath = readonly (string | number)[];

export interface SourceLocation {
  readonly file: string;
  /** From 1; undefined for the file as a whole. */
  readonly line: number | undefined;
  readonly path: KeyPath;
  /** The name of the list's entry that the path leads into, if it has a valid one. */
  readonly entryName?: string;
}

/** An error or a warning. */
export interface Diagnostic {
  readonly location: SourceLocation;
  readonly message: string;
}

/** `pullpass.yaml:12: registries[0] (team-a).auth.username: is missing`. */
export function formatDiagnostic({ location, message }: Diagnostic): string {
  const path = formatKeyPath(location.path, location.entryName);
  return `${formatLocation(location)}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** `pullpass.yaml:12`. */
export function formatLocation({ file, line }: SourceLocation): string {
  return line === undefined ? file : `${file}:${line.toString()}`;
}

/** By file, in the order of `files`, and by line. */
export function inReadingOrder(
  diagnostics: readonly Diagnostic[],
  files: readonly string[],
): readonly Diagnostic[] {
  const positions = new Map(files.map((file, index) => [file, index]));
  const positionOf = ({ location }: Diagnostic): number => positions.get(location.file) ?? 0;
  const lineOf = ({ location }: Diagnostic): number => location.line ?? 0;
  return diagnostics.toSorted((a, b) => positionOf(a) - positionOf(b) || lineOf(a) - lineOf(b));
}

/** Thrown with everything that is wrong with a configuration. */
export class InvalidConfigurationError extends Error {
  override readonly name = "InvalidConfigurationError";
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map(formatDiagnostic).join("\n"));
    this.diagnostics = diagnostics;
  }
}

/** `registries[0] (team-a).auth.username`; the name follows the first index. */
export function formatKeyPath(path: KeyPath, entryName?: string): string {
  let formatted = "";
  let name = entryName;
  for (const key of path) {
    if (typeof key === "string") {
      formatted += formatted === "" ? key : `.${key}`;
      continue;
    }
    formatted += `[${key.toString()}]`;
    if (name !== undefined) formatted += ` (${name})`;
    name = undefined;
  }
  return formatted;
}
