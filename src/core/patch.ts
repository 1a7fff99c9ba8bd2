/** Writes an injection as a JSON patch (RFC 6902) that the API server applies to the pod. */
import type { Injection } from "./decision.ts";
import { escapePointer, type AddOperation } from "./json-patch.ts";
import { isObject, type Pod } from "./kubernetes.ts";
import { INJECTED_ANNOTATION } from "./labels.ts";
import { listAnnotationOf } from "./pod.ts";
import type { Registry } from "./registry.ts";

/** What of a pod and an injection the patch depends on; equal plans give equal patches. */
export interface PatchPlan {
  readonly secretNames: readonly string[];
  /** The value of our annotation. */
  readonly injected: string;
  readonly hasSecretList: boolean;
  /** `full` if there is no room for ours. */
  readonly annotations: "none" | "some" | "full";
}

export function planPatch(pod: Pod, { secretNames, registries }: Injection): PatchPlan {
  const injected = listInjected(pod, registries);
  return {
    secretNames,
    injected,
    hasSecretList: Array.isArray(pod.spec["imagePullSecrets"]),
    annotations: stateOfAnnotations(pod.metadata["annotations"], injected),
  };
}

/*
 * Only `add`, which takes nothing away. A patch that does not apply rejects the pod, even under failurePolicy Ignore. So
 * each operation's parent has to be there:
 *
 * in the pod                | operations
 * no imagePullSecrets, null | add /spec/imagePullSecrets, the list
 * imagePullSecrets: [...]   | add /spec/imagePullSecrets/-, one for each secret
 * no annotations, null      | add /metadata/annotations, the map
 * annotations: {...}        | add /metadata/annotations/pullpass.dev~1injected
 * annotations, no room left | nothing for them
 */
export function writePatch({
  secretNames,
  injected,
  hasSecretList,
  annotations,
}: PatchPlan): readonly AddOperation[] {
  const entries = secretNames.map((name) => ({ name }));
  const secrets: readonly AddOperation[] = hasSecretList
    ? entries.map((value) => ({ op: "add", path: "/spec/imagePullSecrets/-", value }))
    : [{ op: "add", path: "/spec/imagePullSecrets", value: entries }];
  switch (annotations) {
    case "none":
      return [
        ...secrets,
        { op: "add", path: "/metadata/annotations", value: { [INJECTED_ANNOTATION]: injected } },
      ];
    case "some":
      return [
        ...secrets,
        { op: "add", path: `/metadata/annotations/${escapePointer(INJECTED_ANNOTATION)}`, value: injected },
      ];
    case "full":
      return secrets;
  }
}

/** The JSON patch that gives a pod what was decided for it. */
export function patchPod(pod: Pod, injection: Injection): readonly AddOperation[] {
  return writePatch(planPatch(pod, injection));
}

/** A reinvocation adds to what the first call wrote. */
function listInjected(pod: Pod, registries: readonly Registry[]): string {
  const before = listAnnotationOf(pod, INJECTED_ANNOTATION);
  const now = registries.map((registry) => registry.name);
  return before.length === 0 ? now.join(",") : [...new Set([...before, ...now])].join(",");
}

/** All annotations together may have 256 KiB, checked after us (k8s.io/apimachinery `TotalAnnotationSizeLimitB`). */
const MAX_ANNOTATIONS_BYTES = 256 * 1024;
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
const MAX_BYTES_PER_CODE_UNIT = 3;

/** Our annotation is for information, so it gives way where it could get the pod refused. */
function stateOfAnnotations(annotations: unknown, injected: string): PatchPlan["annotations"] {
  if (!isObject(annotations)) return "none";
  let codeUnits = INJECTED_ANNOTATION.length + injected.length;
  for (const key of Object.keys(annotations)) {
    const value = annotations[key];
    codeUnits += key.length + (typeof value === "string" ? value.length : 0);
  }
  return codeUnits * MAX_BYTES_PER_CODE_UNIT <= MAX_ANNOTATIONS_BYTES ? "some" : "full";
}
