/** Reads a pod: its images, its pull secrets, and what it says to Pullpass in labels and annotations. */
import { elementsOf, isObject, textOf, type Pod } from "./kubernetes.ts";

/**
 * A pod, or the template of one, from JSON; undefined if it is none that can be read and appended to. What kubelet and
 * the API server check besides is not checked here.
 */
export function asPod(value: unknown): Pod | undefined {
  if (!isObject(value)) return undefined;
  const { metadata, spec } = value;
  if (!isObject(metadata) || !isObject(spec)) return undefined;
  const hasSecretList = isAbsent(spec["imagePullSecrets"]) || Array.isArray(spec["imagePullSecrets"]);
  const hasAnnotationMap = isAbsent(metadata["annotations"]) || isObject(metadata["annotations"]);
  return hasSecretList && hasAnnotationMap ? { metadata, spec } : undefined;
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

/** Where an image stands in a pod. */
export type ImageField = "spec.initContainers" | "spec.containers" | "spec.volumes";

/**
 * Visits every image that kubelet will pull when the pod starts: init containers (sidecars are among them), containers
 * and image volumes. One that is absent is passed over: a template may leave it to somebody else, a volume's is optional.
 */
export function visitImages(
  pod: Pod,
  visit: (image: unknown, field: ImageField, index: number) => void,
): void {
  for (const key of ["initContainers", "containers"] as const) {
    elementsOf(pod.spec[key]).forEach((container, index) => {
      if (isObject(container) && container["image"] !== undefined)
        visit(container["image"], `spec.${key}`, index);
    });
  }
  elementsOf(pod.spec["volumes"]).forEach((volume, index) => {
    const source = isObject(volume) ? volume["image"] : undefined;
    if (isObject(source) && source["reference"] !== undefined)
      visit(source["reference"], "spec.volumes", index);
  });
}

/** A JSON path to an image, for people. */
export function describeLocation(field: ImageField, index: number): string {
  return `${field}[${index.toString()}].image${field === "spec.volumes" ? ".reference" : ""}`;
}

/** The names in `imagePullSecrets`. Entries without a name are legal, do nothing, and are passed over. */
export function pullSecretNamesOf(pod: Pod): readonly string[] {
  return elementsOf(pod.spec["imagePullSecrets"])
    .map((entry) => textOf(entry, "name"))
    .filter((name) => name !== undefined);
}

export function labelOf(pod: Pod, key: string): string | undefined {
  return textOf(pod.metadata["labels"], key);
}

export function annotationOf(pod: Pod, key: string): string | undefined {
  return textOf(pod.metadata["annotations"], key);
}

/** The entries of an annotation that holds a list, separated by commas, each once; blanks around them do not count. */
export function listAnnotationOf(pod: Pod, key: string): readonly string[] {
  const text = annotationOf(pod, key);
  if (text === undefined) return [];
  const entries = text.split(",").map((entry) => entry.trim());
  return [...new Set(entries)].filter((entry) => entry !== "");
}
