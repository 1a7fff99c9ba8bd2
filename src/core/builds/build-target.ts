/** Where one builder container reads its credentials. */
import { runAsUserOf, variableOf } from "./build-container.ts";
import { KANIKO_DIRECTORY } from "./builders.ts";
import { isMountable, isSamePath, normalisePath } from "./container-path.ts";
import type { BuilderContainer } from "./find-builders.ts";
import type { JsonObject, Pod } from "../kubernetes.ts";

/** The directory to mount at, and the variables that have to agree. */
export interface BuildTarget {
  readonly directory: string;
  readonly variables: readonly TargetVariable[];
}

export interface TargetVariable {
  readonly name: "DOCKER_CONFIG" | "REGISTRY_AUTH_FILE";
  readonly value: string;
  /**
   * `needed`: without it nothing is found. `set`: set where the container has none. `watched`: not set, but one of the
   * container's own that says something else leads away from the directory.
   */
  readonly mode: "needed" | "set" | "watched";
}

/** Where no directory is the builder's own. At the root, where no pod mounts anything by habit. */
export const PRIVATE_DIRECTORY = "/pullpass/docker";
/** Beside the token that every pod has: kaniko keeps /var/run out of the image that it builds (--ignore-var-run). */
const KANIKO_PRIVATE_DIRECTORY = "/var/run/secrets/pullpass.dev";

/**
 * `chosen` is the directory of the pod's annotation.
 *
 * reads  | chosen | besides                             | directory          | variables
 * fixed  | no     |                                     | the table's        |
 * fixed  | yes    |                                     | chosen             |
 * kaniko | no     | in /kaniko                          | /kaniko/.docker    | DOCKER_CONFIG set; needed in slim images
 * kaniko | no     | moved by --kaniko-dir or KANIKO_DIR | a private one      | DOCKER_CONFIG, REGISTRY_AUTH_FILE needed
 * kaniko | yes    |                                     | chosen             | DOCKER_CONFIG needed
 * home   | no     | HOME is known                       | .docker in it      | DOCKER_CONFIG watched
 * home   | no     | HOME is not known                   | a private one      | DOCKER_CONFIG needed
 * home   | yes    |                                     | chosen             | as it is that of HOME, or not
 * named  | no     |                                     | a private one      | its variable needed
 * named  | yes    |                                     | chosen             | its variable needed
 */
export function targetOf({
  pod,
  container,
  builder: { reads },
  tag,
  words,
  chosen,
}: Pick<BuilderContainer, "pod" | "container" | "builder" | "tag" | "words" | "chosen">): BuildTarget {
  switch (reads.kind) {
    case "fixed":
      return { directory: chosen ?? reads.directory, variables: [] };
    case "kaniko":
      if (chosen !== undefined) return { directory: chosen, variables: [dockerConfig(chosen, "needed")] };
      return isKanikoMoved(container, words) ? movedKaniko() : kanikoInPlace(tag);
    case "home": {
      const home = homeOf(reads, pod, container);
      const usual = home === undefined ? undefined : `${home}/.docker`;
      const directory = chosen ?? usual ?? PRIVATE_DIRECTORY;
      return { directory, variables: [dockerConfig(directory, directory === usual ? "watched" : "needed")] };
    }
    case "named": {
      const directory = chosen ?? PRIVATE_DIRECTORY;
      const variable =
        reads.variable === "DOCKER_CONFIG" ? dockerConfig(directory, "needed") : authFile(directory);
      return { directory, variables: [variable] };
    }
  }
}

function dockerConfig(directory: string, mode: TargetVariable["mode"]): TargetVariable {
  return { name: "DOCKER_CONFIG", value: directory, mode };
}

function authFile(directory: string): TargetVariable {
  return { name: "REGISTRY_AUTH_FILE", value: `${directory}/config.json`, mode: "needed" };
}

function kanikoInPlace(tag: string | undefined): BuildTarget {
  const directory = `${KANIKO_DIRECTORY}/.docker`;
  const isSlim = tag?.split("-").includes("slim") === true;
  return { directory, variables: [dockerConfig(directory, isSlim ? "needed" : "set")] };
}

/**
 * kaniko copies /kaniko to its new place, with owners and modes, and removes it (cmd/executor/cmd/root.go, checkKanikoDir): a
 * read-only mount within either makes it fail. Then it sets DOCKER_CONFIG to the new place, where nothing is, so that the
 * keychain goes on to REGISTRY_AUTH_FILE; the versions that leave DOCKER_CONFIG alone read that.
 */
function movedKaniko(): BuildTarget {
  const directory = KANIKO_PRIVATE_DIRECTORY;
  return { directory, variables: [dockerConfig(directory, "needed"), authFile(directory)] };
}

const KANIKO_DIR_FLAG = "--kaniko-dir";
const KANIKO_DIR_OPTION = `${KANIKO_DIR_FLAG}=`;

function isKanikoMoved(container: JsonObject, words: readonly string[]): boolean {
  const last = words.findLastIndex((word) => word === KANIKO_DIR_FLAG || word.startsWith(KANIKO_DIR_OPTION));
  const word = words[last];
  const fromFlag = word === KANIKO_DIR_FLAG ? words[last + 1] : word?.slice(KANIKO_DIR_OPTION.length);
  if (fromFlag !== undefined && !isSamePath(fromFlag, KANIKO_DIRECTORY)) return true;
  const variable = variableOf(container, "KANIKO_DIR");
  return variable.kind === "text"
    ? !isSamePath(variable.value, KANIKO_DIRECTORY)
    : variable.kind === "computed";
}

/*
 * HOME of the container | user asked for           | home
 * a path                |                          | that
 * unknown, or no such    |                          | unknown
 * unset, perhaps set    | none, or the image's own | the image's
 * unset, perhaps set    | another                  | unknown: the runtime reads /etc/passwd of the image, or takes /
 */
function homeOf(
  { home, user }: { readonly home: string; readonly user: number | "any" },
  pod: Pod,
  container: JsonObject,
): string | undefined {
  const variable = variableOf(container, "HOME");
  if (variable.kind === "text") {
    return isMountable(`${variable.value}/.docker`) ? normalisePath(variable.value) : undefined;
  }
  if (variable.kind === "computed") return undefined;
  const asked = runAsUserOf(pod, container);
  return user === "any" || asked === undefined || asked === user ? home : undefined;
}
