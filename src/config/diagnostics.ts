/** Places in configuration files, and what is wrong there. */

/** A key or an index on the way into a document. */
export type KeyPath = readonly (string | number)[];

export interface SourceLocation {
  readonly file: string;
  /** From 1; undefined for the file as a whole. */
  readonly line: number | undefined;
  readonly path: KeyPath;
}

/** One thing that is wrong, or questionable. The message never repeats a value, which might be a password. */
export interface Diagnostic {
  readonly location: SourceLocation;
  readonly message: string;
}

/** `pullpass.yaml:12: registries[0].auth.username: is missing`. */
export function formatDiagnostic({ location, message }: Diagnostic): string {
  const path = formatKeyPath(location.path);
  return `${formatLocation(location)}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** `pullpass.yaml:12`. */
export function formatLocation({ file, line }: SourceLocation): string {
  return line === undefined ? file : `${file}:${line.toString()}`;
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

function formatKeyPath(path: KeyPath): string {
  let formatted = "";
  for (const key of path) {
    if (typeof key === "number") formatted += `[${key.toString()}]`;
    else formatted += formatted === "" ? key : `.${key}`;
  }
  return formatted;
}
