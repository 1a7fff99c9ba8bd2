/** Looks up a pod's images. */
import type { JsonObject, Pod } from "./kubernetes.ts";
import { visitImages, type ImageField } from "./pod.ts";
import type { ImageLookup, RegistryIndex } from "./registry.ts";

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
