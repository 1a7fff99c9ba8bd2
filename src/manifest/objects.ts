/** Finds the Kubernetes objects in a document: itself, or the items of a list. */
import { isObject, getString, type JsonObject } from "../core/kubernetes.ts";
import type { ManifestPath } from "./addition.ts";

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

/** None if the document is no manifest. */
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

/** Names are not checked yet: a line break in one must not make a line of its own. */
export function onOneLine(text: string): string {
  return JSON.stringify(text).slice(1, -1);
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
