/** Writes an injection as a JSON patch (RFC 6902) that the API server applies to the pod. */
import { writeBuildPatch } from "./builds/build-patch.ts";
import type { Injection } from "./decision.ts";
import { escapePointer, type AddOperation } from "./json-patch.ts";
import { isObject, type Pod } from "./kubernetes.ts";
import { INJECTED_ANNOTATION } from "./labels.ts";
import { listAnnotationOf } from "./pod.ts";

/** What of a pod and an injection the patch depends on; equal plans give equal patches. */
export interface PatchPlan {
  readonly secretNames: readonly string[];
  /** The value of our annotation. */
  readonly injected: string;
  readonly hasSecretList: boolean;
  /** `full` if there is no room for ours. */
  readonly annotations: "none" | "some" | "full";
  /** For builders; they differ from pod to pod. */
  readonly buildOperations: readonly AddOperation[];
}

/** One and the same list, so that plans without builders are quickly told to be alike. */
const NO_OPERATIONS: readonly AddOperation[] = [];

export function planPatch(pod: Pod, injection: Injection): PatchPlan {
  const { secretNames, build } = injection;
  const injected = listInjected(pod, injection);
  return {
    secretNames,
    injected,
    hasSecretList: Array.isArray(pod.spec["imagePullSecrets"]),
    annotations: stateOfAnnotations(pod.metadata["annotations"], injected),
    buildOperations: build === undefined ? NO_OPERATIONS : writeBuildPatch(pod, build),
  };
}

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
export function writePatch({
  secretNames,
  injected,
  hasSecretList,
  annotations,
  buildOperations,
}: PatchPlan): readonly AddOperation[] {
  const operations = [...namePullSecrets(secretNames, hasSecretList), ...buildOperations];
  switch (annotations) {
    case "none":
      return [
        ...operations,
        { op: "add", path: "/metadata/annotations", value: { [INJECTED_ANNOTATION]: injected } },
      ];
    case "some":
      return [
        ...operations,
        { op: "add", path: `/metadata/annotations/${escapePointer(INJECTED_ANNOTATION)}`, value: injected },
      ];
    case "full":
      return operations;
  }
}

function namePullSecrets(secretNames: readonly string[], hasSecretList: boolean): readonly AddOperation[] {
  const entries = secretNames.map((name) => ({ name }));
  if (entries.length === 0) return [];
  return hasSecretList
    ? entries.map((value) => ({ op: "add", path: "/spec/imagePullSecrets/-", value }))
    : [{ op: "add", path: "/spec/imagePullSecrets", value: entries }];
}

/** The JSON patch that gives a pod what was decided for it. */
export function patchPod(pod: Pod, injection: Injection): readonly AddOperation[] {
  return writePatch(planPatch(pod, injection));
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
