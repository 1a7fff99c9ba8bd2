/** Where a builder container reads its credentials, and which containers are left as they are. */
import {
  bringsOwnCredentials,
  canBeAppendedTo,
  isListOrNone,
  isMountable,
  isSamePath,
  mountAround,
  mountPathsOf,
  normalisePath,
  runAsUserOf,
  variableOf,
} from "./build-container.ts";
import { type Builder, KANIKO_DIRECTORY } from "./builders.ts";
import type { BuilderContainer } from "./find-builders.ts";
import { asArray, type JsonObject, type Pod } from "../kubernetes.ts";
import type { BuildSkipReason } from "../decision.ts";

/** The directory to mount at, and the variables that have to agree. */
export interface ConfigPath {
  readonly directory: string;
  readonly variables: readonly ConfigVariable[];
}

export interface ConfigVariable {
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
 * home   | yes    |                                     | chosen             | DOCKER_CONFIG watched if it is that of HOME, else needed
 * named  | no     |                                     | a private one      | its variable needed
 * named  | yes    |                                     | chosen             | its variable needed
 */
export function configPathOf({
  pod,
  container,
  builder: { reads },
  tag,
  argv,
  chosen,
}: Pick<BuilderContainer, "pod" | "container" | "builder" | "tag" | "argv" | "chosen">): ConfigPath {
  switch (reads.kind) {
    case "fixed":
      return { directory: chosen ?? reads.directory, variables: [] };
    case "kaniko":
      if (chosen !== undefined) return { directory: chosen, variables: [dockerConfig(chosen, "needed")] };
      return isKanikoMoved(container, argv) ? movedKaniko() : kanikoInPlace(tag);
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

function dockerConfig(directory: string, mode: ConfigVariable["mode"]): ConfigVariable {
  return { name: "DOCKER_CONFIG", value: directory, mode };
}

function authFile(directory: string): ConfigVariable {
  return { name: "REGISTRY_AUTH_FILE", value: `${directory}/config.json`, mode: "needed" };
}

function kanikoInPlace(tag: string | undefined): ConfigPath {
  const directory = `${KANIKO_DIRECTORY}/.docker`;
  const isSlim = tag?.split("-").includes("slim") === true;
  return { directory, variables: [dockerConfig(directory, isSlim ? "needed" : "set")] };
}

/**
 * kaniko copies /kaniko to its new place, with owners and modes, and removes it (cmd/executor/cmd/root.go, checkKanikoDir): a
 * read-only mount within either makes it fail. Then it sets DOCKER_CONFIG to the new place, where nothing is, so that the
 * keychain goes on to REGISTRY_AUTH_FILE; the versions that leave DOCKER_CONFIG alone read that.
 */
function movedKaniko(): ConfigPath {
  const directory = KANIKO_PRIVATE_DIRECTORY;
  return { directory, variables: [dockerConfig(directory, "needed"), authFile(directory)] };
}

const KANIKO_DIR_FLAG = "--kaniko-dir";
const KANIKO_DIR_OPTION = `${KANIKO_DIR_FLAG}=`;

function isKanikoMoved(container: JsonObject, argv: readonly string[]): boolean {
  const last = argv.findLastIndex((word) => word === KANIKO_DIR_FLAG || word.startsWith(KANIKO_DIR_OPTION));
  const word = argv[last];
  const fromFlag = word === KANIKO_DIR_FLAG ? argv[last + 1] : word?.slice(KANIKO_DIR_OPTION.length);
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
 * unset, maybe set      | none, or the image's own | the image's
 * unset, maybe set      | another                  | unknown: the runtime reads /etc/passwd of the image, or takes /
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

/**
 * Why a container gets nothing, whatever credentials there are: it has its own, or needs none. Undefined if there is no such
 * reason. The first row that holds decides.
 *
 * what is seen                                        | reason
 * lists that nothing can be appended to               | unknown-shape
 * a mount at, above or below the directory            | mounts-there; also what an earlier call of ours added
 * not named by the annotation, a script is too long   | script-too-long
 * not named by the annotation, brings its credentials | brings-its-own
 * not named by the annotation, does not run a builder | builder-not-run
 * the variable names another path, or an unknown one  | sets-the-variable
 * the variable is needed, and envFrom may set it      | may-set-the-variable
 */
export function skipReasonOf(
  { pod, container, builder, argv, isArgvComplete, isNamed }: BuilderContainer,
  { directory, variables }: ConfigPath,
): BuildSkipReason | undefined {
  if (!canBeAppendedTo(container) || !isListOrNone(pod.spec["volumes"])) return "unknown-shape";
  if (mountAround(container, directory) !== undefined) return "mounts-there";
  if (!isNamed) {
    if (!isArgvComplete) return "script-too-long";
    if (bringsOwnCredentials([...argv, ...mountPathsOf(container)])) return "brings-its-own";
    if (!runsBuilder(builder, container, argv)) return "builder-not-run";
  }
  for (const { name, value, mode } of variables) {
    const variable = variableOf(container, name);
    if (variable.kind === "computed") return "sets-the-variable";
    if (variable.kind === "text" && !isSamePath(variable.value, value)) return "sets-the-variable";
    if (variable.kind === "maybe" && mode === "needed") return "may-set-the-variable";
  }
  return undefined;
}

/*
 * What a CI job's shell reads from its standard input or from a file cannot be seen here: it may log in, which fails where
 * config.json is read-only, or export a variable that ours comes before. So a container has to be seen to run its builder.
 *
 * its programs | command or args name one | command | the image runs one by itself      | runs it
 * any          |                          |         |                                   | yes
 * known        | yes                      |         |                                   | yes
 * known        | no                       | set     |                                   | no
 * known        | no                       | none    | always                            | yes
 * known        | no                       | none    | with arguments that begin as here | yes
 * known        | no                       | none    | no                                | no
 */
function runsBuilder(
  { programs, runsByItself }: Builder,
  { command, args }: JsonObject,
  argv: readonly string[],
): boolean {
  if (programs === "any") return true;
  // Its end first: to make a path for each of 9,000 words and each program takes five times as long (test/admission/review-time).
  const isOf = (word: string, program: string): boolean =>
    word.endsWith(program) && (word.length === program.length || word.endsWith(`/bin/${program}`));
  if (argv.some((word) => programs.some((program) => isOf(word, program)))) return true;
  if (asArray(command).length > 0) return false;
  return runsByItself === "always" || runsByItself.some((argument) => argument === asArray(args)[0]);
}
