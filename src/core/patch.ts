/** Writes an injection as a JSON patch (RFC 6902) that the API server applies to the pod. */
import jsonpatch, { type AddOperation } from "fast-json-patch";
import { writeBuildPatch } from "./builds/build-patch.ts";
import type { Injection } from "./decision.ts";
import { isObject, type Pod } from "./kubernetes.ts";
import { INJECTED_ANNOTATION } from "./labels.ts";
import { listAnnotationOf } from "./pod.ts";

/*
 * Only `add`, which takes nothing away. A patch that does not apply rejects the pod, even under failurePolicy Ignore. So
 * each operation's parent has to be there:
 *
 * in the pod                | operations
 * nothing to name           | nothing for them
 * no imagePullSecrets, null | add /spec/imagePullSecrets, the list
 * imagePullSecrets: [...]   | add /spec/imagePullSecrets/-, one for each secret
 * no annotations, null      | add /metadata/annotations, the map
 * annotations: {...}        | add /metadata/annotations/pullpass.dev~1injected
 * annotations, no room left | nothing for them
 */

/** The JSON patch that gives a pod what was decided for it. */
export function patchPod(pod: Pod, injection: Injection): readonly AddOperation<unknown>[] {
  const { secretNames, build } = injection;
  return [
    ...namePullSecrets(secretNames, Array.isArray(pod.spec["imagePullSecrets"])),
    ...(build === undefined ? [] : writeBuildPatch(pod, build)),
    ...annotate(pod.metadata["annotations"], listInjected(pod, injection)),
  ];
}

function namePullSecrets(
  secretNames: readonly string[],
  hasSecretList: boolean,
): readonly AddOperation<unknown>[] {
  const entries = secretNames.map((name) => ({ name }));
  if (entries.length === 0) return [];
  return hasSecretList
    ? entries.map((value) => ({ op: "add", path: "/spec/imagePullSecrets/-", value }))
    : [{ op: "add", path: "/spec/imagePullSecrets", value: entries }];
}

/** A reinvocation adds to what the first call wrote. A registry may be there for pulls and for builds. */
function listInjected(pod: Pod, { registries, build }: Injection): string {
  const { entries, rest } = listAnnotationOf(pod, INJECTED_ANNOTATION);
  const now = registries.map((registry) => registry.name);
  const forBuilds = build === undefined ? [] : build.registries.map((registry) => registry.name);
  return [...new Set([...entries, ...now, ...forBuilds]), ...(rest === "" ? [] : [rest])].join(",");
}

/** All annotations together may have 256 KiB, checked after us (k8s.io/apimachinery `TotalAnnotationSizeLimitB`). */
const MAX_ANNOTATIONS_BYTES = 256 * 1024;
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
const MAX_BYTES_PER_CODE_UNIT = 3;

const INJECTED_PATH = `/metadata/annotations/${jsonpatch.escapePathComponent(INJECTED_ANNOTATION)}`;

/** Our annotation is for information, so it gives way where it could get the pod refused. */
function annotate(annotations: unknown, injected: string): readonly AddOperation<unknown>[] {
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
