/** Finds pods and pod templates in manifests. */
import { isObject, textOf, type JsonObject } from "../core/kubernetes.ts";

/** Keys and indices on the way from a manifest to one of its parts. */
export type ManifestPath = readonly (string | number)[];

/** A pod, or the template of one, in a manifest. */
export interface PodSite {
  /** To the object that holds `metadata` and `spec`. */
  readonly path: ManifestPath;
  readonly value: JsonObject;
  /** `Deployment/web`; the name is missing with generateName. */
  readonly owner: string;
  readonly namespace: string | undefined;
}

/** Where the kinds of Kubernetes itself keep their pod template. Groups are compared without their version. */
const TEMPLATES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "": { Pod: [], PodTemplate: ["template"], ReplicationController: ["spec", "template"] },
  apps: {
    Deployment: ["spec", "template"],
    StatefulSet: ["spec", "template"],
    DaemonSet: ["spec", "template"],
    ReplicaSet: ["spec", "template"],
  },
  batch: { Job: ["spec", "template"], CronJob: ["spec", "jobTemplate", "spec", "template"] },
};

/** `Deployment/web in team-a`. Names are not checked yet: a line break in one must not make a line of its own. */
export function titleOf({ owner, namespace }: PodSite): string {
  return JSON.stringify(namespace === undefined ? owner : `${owner} in ${namespace}`).slice(1, -1);
}

/** The pods and templates in one document; none if it is no manifest or of another kind. Lists are gone through. */
export function podSitesIn(manifest: unknown): readonly PodSite[] {
  return sitesAt(manifest, [], undefined);
}

/** The labels of a Namespace manifest. */
export function namespaceLabelsIn(
  manifest: unknown,
): readonly (readonly [name: string, labels: JsonObject])[] {
  if (!isObject(manifest)) return [];
  if (isList(manifest)) return manifest.items.flatMap(namespaceLabelsIn);
  const { metadata } = manifest;
  const name = textOf(metadata, "name");
  if (manifest["kind"] !== "Namespace" || manifest["apiVersion"] !== "v1" || name === undefined) return [];
  const labels = isObject(metadata) && isObject(metadata["labels"]) ? metadata["labels"] : {};
  return [[name, labels]];
}

interface Typed {
  readonly apiVersion: string | undefined;
  readonly kind: string | undefined;
}

/** `fallback` is the type of a typed list's items, which may leave it out. */
function sitesAt(value: unknown, path: ManifestPath, fallback: Typed | undefined): readonly PodSite[] {
  if (!isObject(value)) return [];
  const apiVersion = textOf(value, "apiVersion") ?? fallback?.apiVersion;
  const kind = textOf(value, "kind") ?? fallback?.kind;
  if (apiVersion === undefined || kind === undefined) return [];
  if (isList(value)) {
    const itemType = kind === "List" ? undefined : { apiVersion, kind: kind.slice(0, -"List".length) };
    return value.items.flatMap((item, index) => sitesAt(item, [...path, "items", index], itemType));
  }
  const slash = apiVersion.indexOf("/");
  const kinds = TEMPLATES[slash < 0 ? "" : apiVersion.slice(0, slash)];
  const template = kinds !== undefined && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (template === undefined) return [];
  const pod = valueAt(value, template);
  if (!isObject(pod)) return [];
  const name = textOf(value["metadata"], "name") ?? textOf(value["metadata"], "generateName");
  return [
    {
      path: [...path, ...template],
      value: pod,
      owner: name === undefined ? kind : `${kind}/${name}`,
      namespace: textOf(value["metadata"], "namespace"),
    },
  ];
}

function isList(value: JsonObject): value is JsonObject & { readonly items: readonly unknown[] } {
  return textOf(value, "kind")?.endsWith("List") === true && Array.isArray(value["items"]);
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((current, key) => (isObject(current) ? current[key] : undefined), value);
}
