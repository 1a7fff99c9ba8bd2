/** Places in configuration files, and what is wrong there. */

/** A key or an index on the way into a document. */
export type KeyPath = readonly (string | number)[];

export interface Place {
  readonly file: string;
  /** From 1; undefined for the file as a whole. */
  readonly line: number | undefined;
  readonly path: KeyPath;
}

/** One thing that is wrong, or doubtful. The message never repeats a value, which might be a password. */
export interface Problem {
  readonly place: Place;
  readonly message: string;
}

/** `pullpass.yaml:12: registries[0].auth.username: is missing`. */
export function formatProblem({ place, message }: Problem): string {
  const path = formatKeyPath(place.path);
  return `${formatPlace(place)}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** `pullpass.yaml:12`. */
export function formatPlace({ file, line }: Place): string {
  return line === undefined ? file : `${file}:${line.toString()}`;
}

/** Thrown with everything that is wrong with a configuration. */
export class InvalidConfigurationError extends Error {
  override readonly name = "InvalidConfigurationError";

  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.problems = problems;
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
