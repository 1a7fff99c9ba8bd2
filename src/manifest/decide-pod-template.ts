/** Decides on pods and templates in manifests, as the webhook would on the pods. */
import { isObject, type JsonObject, type Pod, type ServiceAccountInfo } from "../core/kubernetes.ts";
import type { Labels } from "../core/labels.ts";
import { asPod } from "../core/pod.ts";
import { decideInDetail, type DetailedDecision } from "../core/policy.ts";
import { isPermittedIn, selectRegistries, type Registry, type RegistryIndex } from "../core/registry.ts";
import type { ManifestPath } from "./addition.ts";
import { namespaceLabelsIn, type ManifestObject, type PodTemplate } from "./pod-templates.ts";

/** What the Namespaces among the documents are labelled with; nothing is known of any other. */
export function namespaceLabels(
  documents: readonly { readonly value: unknown }[],
): (namespace: string | undefined) => Labels | "unknown" {
  const labels = new Map<string | undefined, JsonObject>(
    documents.flatMap(({ value }) => namespaceLabelsIn(value)),
  );
  return (namespace) => (labels.get(namespace) as Labels | undefined) ?? "unknown";
}

export interface DecidedPodTemplate extends DetailedDecision {
  readonly pod: Pod;
  /** A template may go without metadata; the API server fills it in before it asks the webhook. */
  readonly hasMetadata: boolean;
}

/** As for a new pod in a namespace that opted in. Undefined if there is no readable pod spec. */
export function decidePodTemplate(
  template: PodTemplate,
  {
    labels,
    serviceAccount,
  }: { readonly labels: Labels | "unknown"; readonly serviceAccount?: ServiceAccountInfo | undefined },
  index: RegistryIndex,
): DecidedPodTemplate | undefined {
  const hasMetadata = template.value["metadata"] !== undefined && template.value["metadata"] !== null;
  const pod = asPod(hasMetadata ? template.value : { ...template.value, metadata: {} });
  if (pod === undefined) return undefined;
  const context = { namespace: { isOptedIn: true, labels }, serviceAccount };
  return { pod, hasMetadata, ...decideInDetail(pod, context, index) };
}

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
