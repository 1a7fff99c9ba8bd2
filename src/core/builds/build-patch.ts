/** Writes what builder containers get as operations of a JSON patch. */
import type { AddOperation } from "fast-json-patch";
import type { BuildInjection } from "./build-decision.ts";
import type { Pod } from "../kubernetes.ts";

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
): readonly AddOperation<unknown>[] {
  return [
    ...append("/spec/volumes", volumes, Array.isArray(pod.spec["volumes"])),
    ...findings.flatMap(({ list, position, outcome }) => {
      const { env, volumeMounts, present } = outcome;
      const path = `/spec/${list}/${position.toString()}`;
      return [
        ...append(`${path}/env`, env, present.env),
        ...append(`${path}/volumeMounts`, volumeMounts, present.volumeMounts),
      ];
    }),
  ];
}

function append(
  path: string,
  elements: readonly unknown[],
  isPresent: boolean,
): readonly AddOperation<unknown>[] {
  if (elements.length === 0) return [];
  if (!isPresent) return [{ op: "add", path, value: elements }];
  return elements.map((value) => ({ op: "add", path: `${path}/-`, value }));
}
