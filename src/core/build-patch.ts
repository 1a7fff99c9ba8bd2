/** Writes what builder containers get as operations of a JSON patch. */
import type { BuildFinding, BuildInjection, BuildMount } from "./build-decision.ts";
import { elementsOf, isObject, type Pod } from "./kubernetes.ts";
import type { AddOperation } from "./json-patch.ts";

/*
 * As for pull secrets, each operation's parent has to be there. For each of `volumes`, `volumeMounts` and `env`:
 *
 * in the pod   | operations
 * nothing to add | none
 * absent, null | add the list
 * [...]        | add /-, one for each element
 */
export function writeBuildPatch(
  pod: Pod,
  { volumes, findings }: Pick<BuildInjection, "volumes" | "findings">,
): readonly AddOperation[] {
  return [
    ...appendTo("/spec/volumes", pod.spec["volumes"], volumes),
    ...findings.flatMap((finding) => writeContainer(pod, finding)),
  ];
}

function writeContainer(
  pod: Pod,
  { list, position, outcome }: BuildFinding & { readonly outcome: BuildMount },
): readonly AddOperation[] {
  const container = elementsOf(pod.spec[list])[position];
  const path = `/spec/${list}/${position.toString()}`;
  const { env, volumeMounts } = isObject(container) ? container : {};
  return [
    ...appendTo(`${path}/env`, env, outcome.env),
    ...appendTo(`${path}/volumeMounts`, volumeMounts, outcome.volumeMounts),
  ];
}

function appendTo(path: string, before: unknown, elements: readonly unknown[]): readonly AddOperation[] {
  if (elements.length === 0) return [];
  if (!Array.isArray(before)) return [{ op: "add", path, value: elements }];
  return elements.map((value) => ({ op: "add", path: `${path}/-`, value }));
}
