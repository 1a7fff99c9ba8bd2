/** Reads a container as far as builders go: its words, its variables, its user and what it mounts. */
import { asArray, isObject, getString, type JsonObject, type Pod } from "../kubernetes.ts";
import { isAround } from "./container-path.ts";

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
  const entry = asArray(container["env"]).findLast((candidate) => getString(candidate, "name") === name);
  if (entry === undefined) return asArray(container["envFrom"]).length > 0 ? PERHAPS : UNSET;
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
  /** Of `command` and `args`; a text that holds several, as a shell is given them, is taken apart. */
  readonly words: readonly string[];
  /** How many characters of such texts were read. */
  readonly scriptLength: number;
  /** False if there were more of them than should be read: what is in those is not among the words. */
  readonly isWhole: boolean;
}

export function readCommand(container: JsonObject, maxScriptLength: number): Command {
  const words: string[] = [];
  let scriptLength = 0;
  let isWhole = true;
  for (const list of [container["command"], container["args"]]) {
    for (const part of asArray(list)) {
      if (typeof part !== "string") continue;
      if (!/\s/.test(part)) words.push(part);
      else if (scriptLength + part.length > maxScriptLength) isWhole = false;
      else {
        scriptLength += part.length;
        for (const word of part.split(WORD_END)) words.push(word.replace(/["']/g, ""));
      }
    }
  }
  return { words, scriptLength, isWhole };
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

/** One search through all words: to begin one costs more than most words do. */
export function bringsOwnCredentials(words: readonly string[]): boolean {
  const lines = words.join("\n");
  return OWN_CREDENTIALS.some((pattern) => pattern.test(lines));
}
