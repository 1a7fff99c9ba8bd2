/** What `explain --pod` adds to a decision: what covers each image, and under which conditions the decision holds. */
import { getString, type Pod } from "./kubernetes.ts";
import { INJECT_LABEL, type Labels } from "./labels.ts";
import { visitImages } from "./pod.ts";
import { isPermittedIn, selectRegistries, type Registry, type RegistryIndex } from "./registry.ts";

/** An image of a pod. */
export interface ImageExplanation {
  readonly image: string;
  /** What it needs, of the registries that the namespace may have. */
  readonly needs: readonly Registry[];
  /**
   * The registries that it would need as well, or instead, if the namespace had the labels that they ask for. Without those
   * that are less specific than what it needs. Most specific first.
   */
  readonly withheld: readonly Registry[];
}

/** In the order of the pod, without what is not an image reference: the decision warns of those. */
export function explainImages(
  pod: Pod,
  labels: Labels | "unknown",
  index: RegistryIndex,
): readonly ImageExplanation[] {
  const explanations: ImageExplanation[] = [];
  visitImages(pod, (image) => {
    if (typeof image !== "string") return;
    const lookup = index.lookUp(image);
    if (lookup.kind === "invalid") return;
    const { covering } = lookup;
    const isPermitted = (registry: Registry): boolean => isPermittedIn(registry, labels);
    const needs = selectRegistries(covering, isPermitted);
    const end = covering.findIndex((withOneAddress) => withOneAddress.some(isPermitted));
    const withheld = covering
      .slice(0, end < 0 ? undefined : end + 1)
      .flat()
      .filter((registry) => !isPermitted(registry));
    explanations.push({ image, needs, withheld });
  });
  return explanations;
}

/** The sentences follow "if". */
export const CONDITIONS = {
  "opted-in": "the namespace opted in; whether it has the label pullpass.dev/inject=enabled is unknown",
  label: "the namespace had the label pullpass.dev/inject=enabled",
  recreated: "the pod were created again; this pod was created without what follows",
  "recreated-opted-in":
    "the pod were created again; this pod was created without what follows, maybe before its namespace had the label",
} as const;

export type Condition = keyof typeof CONDITIONS;

/*
 * A decision is about a new pod in a namespace that opted in. A pod gets what was decided:
 *
 * the namespace  | the pod | if
 * opted in       | is new  |
 * opted in       | exists  | recreated-opted-in
 * did not opt in | is new  | label
 * did not opt in | exists  | label, recreated
 * is unknown     | is new  | opted-in
 * is unknown     | exists  | opted-in, recreated
 */
export function conditionsFor(pod: Pod, labels: Labels | "unknown"): readonly Condition[] {
  const isOptedIn = labels !== "unknown" && getString(labels, INJECT_LABEL) === "enabled";
  if (isOptedIn) return exists(pod) ? ["recreated-opted-in"] : [];
  const optIn = labels === "unknown" ? "opted-in" : "label";
  return exists(pod) ? [optIn, "recreated"] : [optIn];
}

/** The API server sets both; a manifest and a template have neither, or a `creationTimestamp` of null. */
function exists({ metadata }: Pod): boolean {
  return getString(metadata, "uid") !== undefined || getString(metadata, "creationTimestamp") !== undefined;
}
