/** Tells builder containers that are left as they are: they have an arrangement of their own, or need none. */
import {
  bringsOwnCredentials,
  canBeAppendedTo,
  isListOrNone,
  mountAround,
  mountPathsOf,
  variableOf,
} from "./build-container.ts";
import { isSamePath } from "./container-path.ts";
import type { BuildSkipReason } from "./build-decision.ts";
import type { BuildTarget } from "./build-target.ts";
import type { Builder } from "./builders.ts";
import type { BuilderContainer } from "./find-builders.ts";
import { asArray, type JsonObject } from "../kubernetes.ts";

/*
 * The first row that holds decides; then it is the Secrets' turn.
 *
 * what is seen                                        | reason
 * lists that nothing can be appended to               | unknown-shape
 * a mount at, above or below the directory            | mounts-there; also what an earlier call of ours added
 * not named by the annotation, a script is too long   | script-too-long
 * not named by the annotation, brings its credentials | brings-its-own
 * not named by the annotation, does not run a builder | builder-not-run
 * the variable says another place, or nobody knows    | sets-the-variable
 * the variable is needed, and envFrom may set it      | may-set-the-variable
 */
/** Why a container is left as it is, whatever credentials there are; undefined if it is not. */
export function arrangementOf(
  { pod, container, builder, words, isCommandWhole, isNamed }: BuilderContainer,
  { directory, variables }: BuildTarget,
): BuildSkipReason | undefined {
  if (!canBeAppendedTo(container) || !isListOrNone(pod.spec["volumes"])) return "unknown-shape";
  if (mountAround(container, directory) !== undefined) return "mounts-there";
  if (!isNamed) {
    if (!isCommandWhole) return "script-too-long";
    if (bringsOwnCredentials([...words, ...mountPathsOf(container)])) return "brings-its-own";
    if (!runsBuilder(builder, container, words)) return "builder-not-run";
  }
  for (const { name, value, mode } of variables) {
    const variable = variableOf(container, name);
    if (variable.kind === "computed") return "sets-the-variable";
    if (variable.kind === "text" && !isSamePath(variable.value, value)) return "sets-the-variable";
    if (variable.kind === "perhaps" && mode === "needed") return "may-set-the-variable";
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
  words: readonly string[],
): boolean {
  if (programs === "any") return true;
  if (
    words.some((word) => programs.some((program) => word === program || word.endsWith(`/bin/${program}`)))
  ) {
    return true;
  }
  if (asArray(command).length > 0) return false;
  return runsByItself === "always" || runsByItself.some((argument) => argument === asArray(args)[0]);
}
