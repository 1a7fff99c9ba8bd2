/** Decides on pods and templates in manifests, as the webhook would on the pods. */
import type { JsonObject, Pod, ServiceAccountFacts } from "../core/kubernetes.ts";
import type { Labels } from "../core/labels.ts";
import { asPod } from "../core/pod.ts";
import { decideInDetail, type DetailedDecision } from "../core/policy.ts";
import type { RegistryIndex } from "../core/registry.ts";
import { namespaceLabelsIn, type PodTemplate } from "./pod-templates.ts";

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
  }: { readonly labels: Labels | "unknown"; readonly serviceAccount?: ServiceAccountFacts | undefined },
  index: RegistryIndex,
): DecidedPodTemplate | undefined {
  const hasMetadata = template.value["metadata"] !== undefined && template.value["metadata"] !== null;
  const pod = asPod(hasMetadata ? template.value : { ...template.value, metadata: {} });
  if (pod === undefined) return undefined;
  const context = { namespace: { isOptedIn: true, labels }, serviceAccount };
  return { pod, hasMetadata, ...decideInDetail(pod, context, index) };
}
