/** Writes an injection as a JSON patch (RFC 6902) that the API server applies to the pod. */
import jsonpatch, { type AddOperation } from "fast-json-patch";
import type { BuildInjection, Injection } from "./decision.ts";
import { asArray, isObject, type JsonObject, type Pod } from "./kubernetes.ts";
import { INJECTED_ANNOTATION } from "./labels.ts";
import { listAnnotationOf } from "./pod.ts";

type Patch = readonly AddOperation<unknown>[];

/** The patch that gives a pod what was decided for it. Only `add`, which removes nothing. */
export function patchPod(pod: Pod, injection: Injection): Patch {
  const { secretNames, build } = injection;
  const pullSecrets = secretNames.map((name) => ({ name }));
  return [
    ...append("/spec/imagePullSecrets", pullSecrets, pod.spec["imagePullSecrets"]),
    ...(build === undefined ? [] : patchBuilders(pod, build)),
    ...annotate(pod.metadata["annotations"], listInjected(pod, injection)),
  ];
}

function patchBuilders(pod: Pod, { volumes, findings }: BuildInjection): Patch {
  return [
    ...append("/spec/volumes", volumes, pod.spec["volumes"]),
    ...findings.flatMap(({ list, position, outcome }) => {
      const path = `/spec/${list}/${position.toString()}`;
      const container = asArray(pod.spec[list])[position] as JsonObject;
      return [
        ...append(`${path}/env`, outcome.env, container["env"]),
        ...append(`${path}/volumeMounts`, outcome.volumeMounts, container["volumeMounts"]),
      ];
    }),
  ];
}

/*
 * A patch that does not apply rejects the pod, even under failurePolicy Ignore, so the parent of each operation has to exist:
 *
 * elements | the list in the pod | operations
 * none     |                     | none
 * some     | absent, null        | add the list
 * some     | [...]               | add /-, one for each element
 */
function append(path: string, elements: readonly unknown[], list: unknown): Patch {
  if (elements.length === 0) return [];
  if (!Array.isArray(list)) return [{ op: "add", path, value: elements }];
  return elements.map((value) => ({ op: "add", path: `${path}/-`, value }));
}

/** A reinvocation adds to what the first call wrote. A registry may be there for pulls and for builds. */
function listInjected(pod: Pod, { registries, build }: Injection): string {
  const { entries, rest } = listAnnotationOf(pod, INJECTED_ANNOTATION);
  const names = new Set(entries);
  for (const { name } of registries) names.add(name);
  for (const { name } of build?.registries ?? []) names.add(name);
  if (rest !== "") names.add(rest);
  return [...names].join(",");
}

/** All annotations together may have 256 KiB, checked after us (k8s.io/apimachinery `TotalAnnotationSizeLimitB`). */
export const MAX_ANNOTATIONS_BYTES = 256 * 1024;
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
export const MAX_BYTES_PER_CODE_UNIT = 3;

const INJECTED_PATH = `/metadata/annotations/${jsonpatch.escapePathComponent(INJECTED_ANNOTATION)}`;

/*
 * Our annotation is for information, so it gives way where it could get the pod refused.
 *
 * annotations of the pod | room for ours | operations
 * absent, null           |               | add the map
 * {...}                  | no            | none
 * {...}                  | yes           | add /pullpass.dev~1injected
 */
function annotate(annotations: unknown, injected: string): Patch {
  if (!isObject(annotations)) {
    return [{ op: "add", path: "/metadata/annotations", value: { [INJECTED_ANNOTATION]: injected } }];
  }
  let codeUnits = INJECTED_ANNOTATION.length + injected.length;
  for (const key of Object.keys(annotations)) {
    const value = annotations[key];
    codeUnits += key.length + (typeof value === "string" ? value.length : 0);
  }
  if (codeUnits * MAX_BYTES_PER_CODE_UNIT > MAX_ANNOTATIONS_BYTES) return [];
  return [{ op: "add", path: INJECTED_PATH, value: injected }];
}
