/** Writes an injection as a JSON patch (RFC 6902) that the API server applies to the pod. */
import type { Injection } from "./decision.ts";
import { isObject, type JsonObject, type Pod } from "./kubernetes.ts";
import { INJECTED_ANNOTATION } from "./labels.ts";
import { listAnnotationOf } from "./pod.ts";

/** The only operation ever used: it cannot fail where its parent is there, and removes nothing. */
export interface AddOperation {
  readonly op: "add";
  /** A JSON pointer (RFC 6901). */
  readonly path: string;
  readonly value: unknown;
}

/*
 * A patch that does not apply rejects the pod, even under failurePolicy Ignore. So each operation's parent has to be there:
 *
 * in the pod                | operations
 * no imagePullSecrets, null | add /spec/imagePullSecrets, the list
 * imagePullSecrets: [...]   | add /spec/imagePullSecrets/-, one for each secret
 * no annotations, null      | add /metadata/annotations, the map
 * annotations: {...}        | add /metadata/annotations/pullpass.dev~1injected, if there is room for it
 */
export function patchPod(pod: Pod, injection: Injection): readonly AddOperation[] {
  const entries = injection.secretNames.map((name) => ({ name }));
  const secrets: readonly AddOperation[] = Array.isArray(pod.spec["imagePullSecrets"])
    ? entries.map((value) => ({ op: "add", path: "/spec/imagePullSecrets/-", value }))
    : [{ op: "add", path: "/spec/imagePullSecrets", value: entries }];

  const injected = listInjected(pod, injection);
  const annotations = pod.metadata["annotations"];
  if (!isObject(annotations)) {
    return [
      ...secrets,
      { op: "add", path: "/metadata/annotations", value: { [INJECTED_ANNOTATION]: injected } },
    ];
  }
  if (!fitsInto(annotations, injected)) return secrets;
  const path = `/metadata/annotations/${escapePointer(INJECTED_ANNOTATION)}`;
  return [...secrets, { op: "add", path, value: injected }];
}

/** All annotations together may have 256 KiB, checked after us (k8s.io/apimachinery `TotalAnnotationSizeLimitB`). */
const MAX_ANNOTATIONS_BYTES = 256 * 1024;
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
const MAX_BYTES_PER_CODE_UNIT = 3;

/** Our annotation is for information, so it gives way where it could get the pod refused. */
function fitsInto(annotations: JsonObject, injected: string): boolean {
  let codeUnits = INJECTED_ANNOTATION.length + injected.length;
  for (const key of Object.keys(annotations)) {
    const value = annotations[key];
    codeUnits += key.length + (typeof value === "string" ? value.length : 0);
  }
  return codeUnits * MAX_BYTES_PER_CODE_UNIT <= MAX_ANNOTATIONS_BYTES;
}

/** A reinvocation adds to what the first call wrote. */
function listInjected(pod: Pod, injection: Injection): string {
  const before = listAnnotationOf(pod, INJECTED_ANNOTATION);
  const now = injection.registries.map((registry) => registry.name);
  return [...new Set([...before, ...now])].join(",");
}

function escapePointer(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
