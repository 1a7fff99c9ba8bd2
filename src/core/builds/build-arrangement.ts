/** Tells builder containers that are left as they are: they have an arrangement of their own, or need none. */
import {
  bringsOwnCredentials,
  canBeAppendedTo,
  isListOrNone,
  mountAround,
  variableOf,
} from "./build-container.ts";
import type { BuildSkipReason } from "./build-decision.ts";
import type { BuildTarget } from "./build-target.ts";
import type { BuilderContainer } from "./find-builders.ts";

/*
 * The first row that holds decides; then it is the Secrets' turn.
 *
 * what is seen                                        | reason
 * lists that nothing can be appended to               | unknown-shape
 * a mount at, above or below the directory            | mounts-there; also what an earlier call of ours added
 * not named by the annotation, runs a daemon alone    | client-not-run
 * not named by the annotation, brings its credentials | brings-its-own
 * the variable says another place, or nobody knows    | sets-the-variable
 * the variable is needed, and envFrom may set it      | may-set-the-variable
 */
/** Why a container is left as it is, whatever credentials there are; undefined if it is not. */
export function arrangementOf(
  { pod, container, builder, words, isNamed }: BuilderContainer,
  { directory, variables }: BuildTarget,
): BuildSkipReason | undefined {
  if (!canBeAppendedTo(container) || !isListOrNone(pod.spec["volumes"])) return "unknown-shape";
  if (mountAround(container, directory) !== undefined) return "mounts-there";
  if (!isNamed && builder.daemon !== undefined && runsDaemonAlone(builder.daemon, container, words)) {
    return "client-not-run";
  }
  if (!isNamed && bringsOwnCredentials(words)) return "brings-its-own";
  for (const { name, value, mode } of variables) {
    const variable = variableOf(container, name);
    if (variable.kind === "computed") return "sets-the-variable";
    if (variable.kind === "text" && variable.value.replace(/\/+$/, "") !== value) return "sets-the-variable";
    if (variable.kind === "perhaps" && mode === "needed") return "may-set-the-variable";
  }
  return undefined;
}

/** Without a command the image runs its daemon. */
function runsDaemonAlone(
  { name, client }: { readonly name: string; readonly client: string },
  { command }: BuilderContainer["container"],
  words: readonly string[],
): boolean {
  if (words.some((word) => word.includes(client))) return false;
  return !Array.isArray(command) || words.some((word) => word.includes(name));
}
