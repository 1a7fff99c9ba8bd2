/** Finds images in objects without a known pod template, so that they are not passed over in silence. */
import { isObject } from "../core/kubernetes.ts";
import type { Labels } from "../core/labels.ts";
import { isPermittedIn, selectRegistries, type Registry, type RegistryIndex } from "../core/registry.ts";
import type { ManifestPath } from "./addition.ts";
import type { ManifestObject } from "./objects.ts";

export interface ImageLeftOut {
  readonly path: ManifestPath;
  readonly registries: readonly Registry[];
}

/** The first field named `image` that a registry covers. Kubernetes' own kinds make pods of their templates alone. */
export function imageLeftOut(
  { group, value }: ManifestObject,
  labels: Labels | "unknown",
  index: RegistryIndex,
): ImageLeftOut | undefined {
  return isOfKubernetes(group) ? undefined : imageIn(value, [], labels, index);
}

/** The groups of k8s.io/api: the early ones have no dot in their name, the later ones end in `.k8s.io`. */
function isOfKubernetes(group: string): boolean {
  return !group.includes(".") || group.endsWith(".k8s.io");
}

function imageIn(
  value: unknown,
  path: ManifestPath,
  labels: Labels | "unknown",
  index: RegistryIndex,
): ImageLeftOut | undefined {
  if (!Array.isArray(value) && !isObject(value)) return undefined;
  const members: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  for (const [key, child] of members) {
    if (key === "image" && typeof child === "string") {
      const lookup = index.lookUp(child);
      if (lookup.kind === "invalid") continue;
      const registries = selectRegistries(lookup.covering, (registry) => isPermittedIn(registry, labels));
      if (registries.length > 0) return { path: [...path, key], registries };
    } else {
      const found = imageIn(child, [...path, key], labels, index);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
