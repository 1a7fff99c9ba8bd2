/** Finds pods and pod templates in manifests. */
import { isObject, getString, type JsonObject } from "../core/kubernetes.ts";
import type { ManifestPath } from "./addition.ts";
import { formatPath, objectsIn, onOneLine, type ManifestObject } from "./objects.ts";
import { indexPodTemplateKinds, keyOf, type PodTemplateKinds } from "./pod-template-kinds.ts";

/** A pod, or the template of one, in a manifest. */
export interface PodTemplate {
  /** To the object that holds `metadata` and `spec`. */
  readonly path: ManifestPath;
  readonly value: JsonObject;
  /** `Deployment/web`; with the path in an object that has several templates. */
  readonly owner: string;
  readonly namespace: string | undefined;
  /** Whether `metadata` can be added where there is none. */
  readonly allowsMetadata: boolean;
}

const BUILT_IN_KINDS = indexPodTemplateKinds();

/** The pods and templates in one document; none if it is no manifest or of another kind. Lists are gone through. */
export function podTemplatesIn(
  manifest: unknown,
  kinds: PodTemplateKinds = BUILT_IN_KINDS,
): readonly PodTemplate[] {
  return objectsIn(manifest).flatMap((object) => podTemplatesOf(object, kinds));
}

/** Of one object. */
export function podTemplatesOf(object: ManifestObject, kinds: PodTemplateKinds): readonly PodTemplate[] {
  const found = (kinds.get(keyOf(object)) ?? []).flatMap(({ path, allowsMetadata }) =>
    valuesAt(object.value, path, []).flatMap(([at, value]) =>
      isObject(value) ? { at, value, allowsMetadata } : [],
    ),
  );
  return found.map(({ at, value, allowsMetadata }) => ({
    path: [...object.path, ...at],
    value,
    owner: found.length === 1 ? object.title : `${object.title} ${formatPath(at)}`,
    namespace: object.namespace,
    allowsMetadata,
  }));
}

/** `Deployment/web in team-a`. */
export function titleOf({ owner, namespace }: PodTemplate): string {
  return onOneLine(namespace === undefined ? owner : `${owner} in ${namespace}`);
}

/** The labels of a Namespace manifest. */
export function namespaceLabelsIn(
  manifest: unknown,
): readonly (readonly [name: string, labels: JsonObject])[] {
  return objectsIn(manifest).flatMap(({ group, kind, value: { metadata } }) => {
    const name = getString(metadata, "name");
    if (group !== "" || kind !== "Namespace" || name === undefined) return [];
    const labels = isObject(metadata) && isObject(metadata["labels"]) ? metadata["labels"] : {};
    return [[name, labels] as const];
  });
}

function valuesAt(
  value: unknown,
  [key, ...rest]: readonly string[],
  at: ManifestPath,
): readonly (readonly [path: ManifestPath, value: unknown])[] {
  if (key === undefined) return [[at, value]];
  if (key === "*" && Array.isArray(value)) {
    return value.flatMap((element, index) => valuesAt(element, rest, [...at, index]));
  }
  if (!isObject(value)) return [];
  const keys = key === "*" ? Object.keys(value) : [key].filter((name) => Object.hasOwn(value, name));
  return keys.flatMap((name) => valuesAt(value[name], rest, [...at, name]));
}
