/** Reads a pod: its images, its pull secrets, and what it says to Pullpass in labels and annotations. */
import { asArray, getString, isObject, type JsonObject, type Pod } from "./kubernetes.ts";
import type { ImageLookup, RegistryIndex } from "./registry.ts";

/**
 * A pod, or the template of one, from JSON; undefined if it cannot be read and appended to. What kubelet and
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

/** The field of a pod that an image is in. */
export type ImageField = "spec.initContainers" | "spec.containers" | "spec.volumes";

/**
 * Visits every image that kubelet will pull when the pod starts: init containers (sidecars are among them), containers
 * and image volumes. An absent image is skipped: a template may leave it to somebody else, a volume's is optional.
 */
export function visitImages(
  pod: Pod,
  visit: (image: unknown, field: ImageField, index: number, holder: JsonObject) => void,
): void {
  for (const key of ["initContainers", "containers"] as const) {
    asArray(pod.spec[key]).forEach((container, index) => {
      if (isObject(container) && container["image"] !== undefined)
        visit(container["image"], `spec.${key}`, index, container);
    });
  }
  asArray(pod.spec["volumes"]).forEach((volume, index) => {
    if (!isObject(volume)) return;
    const source = volume["image"];
    if (isObject(source) && source["reference"] !== undefined)
      visit(source["reference"], "spec.volumes", index, volume);
  });
}

/** A JSON path to an image, for people. */
export function describeLocation(field: ImageField, index: number): string {
  return `${field}[${index.toString()}].image${field === "spec.volumes" ? ".reference" : ""}`;
}

/** Which of these names are not among the pod's `imagePullSecrets`. Entries without a name are legal, and do nothing. */
export function missingPullSecrets(pod: Pod, names: Iterable<string>): ReadonlySet<string> {
  const missing = new Set(names);
  for (const entry of asArray(pod.spec["imagePullSecrets"])) {
    const name = getString(entry, "name");
    if (name !== undefined) missing.delete(name);
  }
  return missing;
}

export function labelOf(pod: Pod, key: string): string | undefined {
  return getString(pod.metadata["labels"], key);
}

export function annotationOf(pod: Pod, key: string): string | undefined {
  return getString(pod.metadata["annotations"], key);
}

/** A list in an annotation, separated by commas. */
export interface AnnotatedList {
  /** Without the blanks around them and without empty ones. */
  readonly entries: ReadonlySet<string>;
  /** What comes after as many entries as are read; mostly empty. */
  readonly rest: string;
}

/**
 * More than any pod has containers, or needs registries by name: `*` names them all. An entry costs thirty times what it takes to
 * parse it as JSON, so a string of nothing but commas would take long.
 */
export const MAX_LIST_ENTRIES = 1024;

export function listAnnotationOf(pod: Pod, key: string): AnnotatedList {
  const text = annotationOf(pod, key) ?? "";
  const entries = new Set<string>();
  let start = 0;
  for (let count = 0; count < MAX_LIST_ENTRIES && start < text.length; count++) {
    const comma = text.indexOf(",", start);
    const end = comma < 0 ? text.length : comma;
    const entry = text.slice(start, end).trim();
    if (entry !== "") entries.add(entry);
    start = end + 1;
  }
  return { entries, rest: text.slice(start) };
}

/** An image of a pod, and what is known of it. */
export interface PodImage {
  readonly field: ImageField;
  readonly position: number;
  /** The container, or the volume. */
  readonly holder: JsonObject;
  readonly lookup: ImageLookup;
}

/** In the order of {@link visitImages}. Each is looked up once, whoever needs to know. */
export function lookUpImages(pod: Pod, index: RegistryIndex): readonly PodImage[] {
  const images: PodImage[] = [];
  visitImages(pod, (image, field, position, holder) => {
    const lookup = typeof image === "string" ? index.lookUp(image) : NOT_A_TEXT;
    images.push({ field, position, holder, lookup });
  });
  return images;
}

const NOT_A_TEXT = { kind: "invalid", reason: "it is not a string" } as const;
