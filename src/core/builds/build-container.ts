/** Reads a container as far as builders go: its arguments, variables, user, mounts, and the paths in them. */
import { asArray, isObject, getString, type JsonObject, type Pod } from "../kubernetes.ts";

/** What a container says of one environment variable. */
export type Variable =
  | { readonly kind: "unset" }
  | { readonly kind: "text"; readonly value: string }
  /** Set, to what only the cluster knows: `valueFrom`, or a `$(NAME)`. */
  | { readonly kind: "computed" }
  /** Maybe set by `envFrom`. */
  | { readonly kind: "maybe" };

const UNSET: Variable = { kind: "unset" };
const COMPUTED: Variable = { kind: "computed" };
const MAYBE: Variable = { kind: "maybe" };

/** The last entry of a name counts, and any entry counts before what `envFrom` brings. */
export function variableOf(container: JsonObject, name: string): Variable {
  const entry = asArray(container["env"]).findLast((candidate) => getString(candidate, "name") === name);
  if (entry === undefined) return asArray(container["envFrom"]).length > 0 ? MAYBE : UNSET;
  if (isObject(entry) && isObject(entry["valueFrom"])) return COMPUTED;
  const value = getString(entry, "value") ?? "";
  return value.includes("$(") ? COMPUTED : { kind: "text", value };
}

/** The user id that the container, or else its pod, asks for. */
export function runAsUserOf(pod: Pod, container: JsonObject): number | undefined {
  for (const { securityContext } of [container, pod.spec]) {
    const user = isObject(securityContext) ? securityContext["runAsUser"] : undefined;
    // Manifests are read with whole numbers of any size.
    if (typeof user === "number" || typeof user === "bigint") return Number(user);
  }
  return undefined;
}

/** Whether `volumeMounts` and `env` can be appended to. */
export function canBeAppendedTo(container: JsonObject): boolean {
  return isListOrNone(container["volumeMounts"]) && isListOrNone(container["env"]);
}

export function isListOrNone(value: unknown): boolean {
  return value === undefined || value === null || Array.isArray(value);
}

/** A mount of the container at a directory, above it or below it; its path, or undefined. */
export function mountAround(container: JsonObject, directory: string): string | undefined {
  return mountPathsOf(container).find((mountPath) => isAround(mountPath, directory));
}

/** Where the container mounts volumes and devices, as it is written. */
export function mountPathsOf(container: JsonObject): readonly string[] {
  return [
    ...asArray(container["volumeMounts"]).map((mount) => getString(mount, "mountPath")),
    ...asArray(container["volumeDevices"]).map((device) => getString(device, "devicePath")),
  ].filter((path) => path !== undefined);
}

/** What a container runs. */
export interface Command {
  /** The words of `command` and `args`; an element that holds several, as a shell is given them, is split. */
  readonly argv: readonly string[];
  /** How many characters of such elements were read. */
  readonly scriptLength: number;
  /** False if they were too long to be read to the end. */
  readonly isComplete: boolean;
}

export function readCommand(container: JsonObject, maxScriptLength: number): Command {
  const argv: string[] = [];
  let scriptLength = 0;
  let isComplete = true;
  for (const list of [container["command"], container["args"]]) {
    for (const part of asArray(list)) {
      if (typeof part !== "string") continue;
      if (!/\s/.test(part)) argv.push(part);
      else if (scriptLength + part.length > maxScriptLength) isComplete = false;
      else {
        scriptLength += part.length;
        for (const word of part.split(WORD_END)) argv.push(word.replace(/["']/g, ""));
      }
    }
  }
  return { argv, scriptLength, isComplete };
}

const WORD_END = /[\s;&|()]+/;

/*
 * How a word or a mount path looks of a container that brings its own credentials: it logs in; it names the file, its directory
 * or a flag for it; or Tekton or kpack put credentials into its home first (tektoncd/pipeline pkg/credentials/dockercreds,
 * pivotal/kpack cmd). Each line is one.
 */
const OWN_CREDENTIALS = [
  /^login$/m,
  /(?:^|\/)(?:\.docker(?:\/|$)|\.dockercfg$|\.config\/containers\/?$)|\bauth\.json$/m,
  /DOCKER_CONFIG|REGISTRY_AUTH_FILE/,
  /^--authfile\b/m,
  /^--?(?:basic-docker|docker-?cfg|docker-?config)=/m,
];

/** One search through all of them: to begin one costs more than most words do. */
export function bringsOwnCredentials(argv: readonly string[]): boolean {
  const lines = argv.join("\n");
  return OWN_CREDENTIALS.some((pattern) => pattern.test(lines));
}

/** A path without empty parts, `.` and a last slash; `/` becomes the empty string. */
export function normalisePath(path: string): string {
  return firstParts(path, Infinity)
    .map((part) => `/${part}`)
    .join("");
}

/** Whether two strings are the same path. Paths are compared part by part, and only as far as necessary. */
export function isSamePath(path: string, other: string): boolean {
  const parts = firstParts(other, Infinity);
  const found = firstParts(path, parts.length + 1);
  return found.length === parts.length && startsAlike(found, parts);
}

/** Whether a path is at a directory, above it or below it. */
function isAround(path: string, directory: string): boolean {
  const parts = firstParts(directory, Infinity);
  return startsAlike(withoutLink(firstParts(path, parts.length + 1)), withoutLink(parts));
}

/** Longer than any directory that an image reads its configuration from. Longer ones cost more than they are worth. */
const MAX_DIRECTORY_LENGTH = 512;

/** Whether a string can be the path of a mount: absolute, below the root, without what a mount path may not hold. */
export function isMountable(path: string): boolean {
  return (
    path.length <= MAX_DIRECTORY_LENGTH &&
    path.startsWith("/") &&
    normalisePath(path) !== "" &&
    !/[:,\p{Cc}]|(?:^|\/)\.\.(?:\/|$)/u.test(path)
  );
}

/** In nearly every image /var/run is a link to /run. */
function withoutLink(parts: readonly string[]): readonly string[] {
  return parts[0] === "var" && parts[1] === "run" ? parts.slice(1) : parts;
}

function startsAlike(parts: readonly string[], others: readonly string[]): boolean {
  return parts.every((part, index) => index >= others.length || part === others[index]);
}

/** What a part begins with: no slash, and no dot that is all of it. */
const PART_START = /[^/.]|\.(?=[^/])/g;

/** The parts of a path, at most so many: no empty ones and no `.`. */
function firstParts(path: string, count: number): readonly string[] {
  const parts: string[] = [];
  PART_START.lastIndex = 0;
  while (parts.length < count && PART_START.test(path)) {
    const start = PART_START.lastIndex - 1;
    const slash = path.indexOf("/", start);
    const end = slash < 0 ? path.length : slash;
    parts.push(path.slice(start, end));
    PART_START.lastIndex = end;
  }
  return parts;
}
