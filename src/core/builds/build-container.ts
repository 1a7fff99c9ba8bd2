/** Reads a container as far as builders go: its words, its variables, its user and what it mounts. */
import { elementsOf, isObject, textOf, type JsonObject, type Pod } from "../kubernetes.ts";

/** The lists of a pod whose containers can be given volumes. */
export type ContainerList = "initContainers" | "containers";

/** What a container says of one environment variable. */
export type Variable =
  | { readonly kind: "unset" }
  | { readonly kind: "text"; readonly value: string }
  /** Set, to what only the cluster knows: `valueFrom`, or a `$(NAME)`. */
  | { readonly kind: "computed" }
  /** Perhaps set by `envFrom`. */
  | { readonly kind: "perhaps" };

const UNSET: Variable = { kind: "unset" };
const COMPUTED: Variable = { kind: "computed" };
const PERHAPS: Variable = { kind: "perhaps" };

/** The last entry of a name counts, and any entry counts before what `envFrom` brings. */
export function variableOf(container: JsonObject, name: string): Variable {
  const entry = elementsOf(container["env"]).findLast((candidate) => textOf(candidate, "name") === name);
  if (entry === undefined) return elementsOf(container["envFrom"]).length > 0 ? PERHAPS : UNSET;
  if (isObject(entry) && isObject(entry["valueFrom"])) return COMPUTED;
  const value = textOf(entry, "value") ?? "";
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
  const place = `${withoutLink(directory)}/`;
  return mountPathsOf(container).find((mountPath) => {
    const mounted = `${withoutLink(normalisePath(mountPath))}/`;
    return place.startsWith(mounted) || mounted.startsWith(place);
  });
}

/** Where the container mounts volumes and devices, as it is written. */
export function mountPathsOf(container: JsonObject): readonly string[] {
  return [
    ...elementsOf(container["volumeMounts"]).map((mount) => textOf(mount, "mountPath")),
    ...elementsOf(container["volumeDevices"]).map((device) => textOf(device, "devicePath")),
  ].filter((path) => path !== undefined);
}

/** Without empty parts, `.` and a last slash; `/` becomes the empty text. */
export function normalisePath(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.map((part) => `/${part}`).join("");
}

/** Whether a text can be the path of a mount: absolute, below the root, without what a mount path may not hold. */
export function isMountable(path: string): boolean {
  return path.startsWith("/") && normalisePath(path) !== "" && !/[:,\p{Cc}]|(?:^|\/)\.\.(?:\/|$)/u.test(path);
}

/** In nearly every image /var/run is a link to /run. */
function withoutLink(path: string): string {
  return path.replace(/^\/var\/run(?=\/|$)/, "/run");
}

/** The words of `command` and `args`; a text that holds several, as a shell is given them, is taken apart. */
export function wordsOf(container: JsonObject): readonly string[] {
  return [...elementsOf(container["command"]), ...elementsOf(container["args"])].flatMap((part) => {
    if (typeof part !== "string") return [];
    return /\s/.test(part) ? part.slice(0, MAX_SCRIPT_LENGTH).split(WORD_END).map(withoutQuotes) : [part];
  });
}

/** A script may be of any length; what it does with images comes far before this. */
const MAX_SCRIPT_LENGTH = 64 * 1024;
const WORD_END = /[\s;&|()]+/;

function withoutQuotes(word: string): string {
  return word.replace(/["']/g, "");
}

/*
 * How a word or a mount path looks of a container that brings its own credentials: it logs in; it names the file, its directory
 * or a flag for it; or Tekton or kpack put credentials into its home first (tektoncd/pipeline pkg/credentials/dockercreds,
 * pivotal/kpack cmd).
 */
const OWN_CREDENTIALS = [
  /^login$/,
  /(?:^|\/)(?:\.docker(?:\/|$)|\.dockercfg$|\.config\/containers\/?$)|\bauth\.json$/,
  /DOCKER_CONFIG|REGISTRY_AUTH_FILE/,
  /^--authfile\b/,
  /^--?(?:basic-docker|docker-?cfg|docker-?config)=/,
];

export function bringsOwnCredentials(words: readonly string[]): boolean {
  return words.some((word) => OWN_CREDENTIALS.some((pattern) => pattern.test(word)));
}
