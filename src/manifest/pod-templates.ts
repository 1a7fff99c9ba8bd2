/** Finds the Kubernetes objects in a manifest, and the pods and pod templates in them. */
import { getString, isObject, type JsonObject } from "../core/kubernetes.ts";
import { escapeControls } from "../core/quote.ts";
import type { ManifestPath } from "./addition.ts";
import { indexPodTemplateKinds, keyOf, type PodTemplateKinds } from "./pod-template-kinds.ts";

export interface ManifestObject {
  readonly path: ManifestPath;
  readonly value: JsonObject;
  /** Empty for Kubernetes' first group. */
  readonly group: string;
  readonly kind: string;
  /** `Deployment/web`; the name is missing with generateName. */
  readonly title: string;
  readonly namespace: string | undefined;
}

/** The document itself, or the items of a list; none if it is not a manifest. */
export function objectsIn(manifest: unknown): readonly ManifestObject[] {
  return objectsAt(manifest, [], undefined);
}

/** A path for people: `spec.containers[0].image`. */
export function formatPath(path: ManifestPath): string {
  return path
    .map((key) => (typeof key === "number" ? `[${key.toString()}]` : `.${key}`))
    .join("")
    .replace(/^\./, "");
}

interface TypeMeta {
  readonly apiVersion: string | undefined;
  readonly kind: string | undefined;
}

/** `fallback` is the type of a typed list's items, which may leave it out. */
function objectsAt(
  value: unknown,
  path: ManifestPath,
  fallback: TypeMeta | undefined,
): readonly ManifestObject[] {
  if (!isObject(value)) return [];
  const apiVersion = getString(value, "apiVersion") ?? fallback?.apiVersion;
  const kind = getString(value, "kind") ?? fallback?.kind;
  if (apiVersion === undefined || kind === undefined) return [];
  const slash = apiVersion.indexOf("/");
  const group = slash < 0 ? "" : apiVersion.slice(0, slash);
  const list = listOf(group, kind, value);
  if (list !== undefined) {
    const itemType =
      list === "items" && kind !== "List" ? { apiVersion, kind: kind.slice(0, -"List".length) } : undefined;
    const items = value[list] as readonly unknown[];
    return items.flatMap((item, index) => objectsAt(item, [...path, list, index], itemType));
  }
  const { metadata } = value;
  const name = getString(metadata, "name") ?? getString(metadata, "generateName");
  const title = name === undefined ? kind : `${kind}/${name}`;
  return [{ path, value, group, kind, title, namespace: getString(metadata, "namespace") }];
}

/** The member that lists other objects: of a List, and of an OpenShift Template (github.com/openshift/api template/v1/types.go). */
function listOf(group: string, kind: string, value: JsonObject): "items" | "objects" | undefined {
  if (kind.endsWith("List") && Array.isArray(value["items"])) return "items";
  const isTemplate = kind === "Template" && (group === "template.openshift.io" || group === "");
  return isTemplate && Array.isArray(value["objects"]) ? "objects" : undefined;
}

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

/** The pods and templates in one document; none if it is not a manifest, or of another kind. */
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
  // Names are not checked yet: a line break in one must not make a line of its own.
  return escapeControls(namespace === undefined ? owner : `${owner} in ${namespace}`);
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
