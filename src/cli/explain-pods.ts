/** `pullpass explain --pod`: what the pods of a manifest get, why, and under which conditions. */
import { BUILD_SKIP_REASONS, type BuildFinding, type Decision, SKIP_REASONS } from "../core/decision.ts";
import {
  CONDITIONS,
  conditionsFor,
  explainImages,
  type Condition,
  type ImageExplanation,
} from "../core/explain-pod.ts";
import { getString, type ServiceAccountInfo } from "../core/kubernetes.ts";
import { formatSelector, type Labels } from "../core/labels.ts";
import type { Registry, RegistryIndex } from "../core/registry.ts";
import { KubeApiError } from "../kube/errors.ts";
import type { PodReader } from "../kube/resources/pods.ts";
import { decidePodTemplate, namespaceLabels } from "../manifest/decide-pod-template.ts";
import type { PodTemplateKinds } from "../manifest/pod-template-kinds.ts";
import type { Mode } from "../serve/admission-policy.ts";
import { podTemplatesIn, titleOf, type PodTemplate } from "../manifest/pod-templates.ts";

/** A block of lines for people for each pod and template, in the order of the documents. */
export async function explainPods(
  documents: readonly { readonly value: unknown }[],
  index: RegistryIndex,
  find: FindSurroundings,
  kinds?: PodTemplateKinds,
  mode: Mode = "webhook",
): Promise<readonly string[]> {
  const blocks: string[] = [];
  for (const template of documents.flatMap(({ value }) => podTemplatesIn(value, kinds))) {
    blocks.push((await explainPodTemplate(template, index, find, mode)).join("\n"));
  }
  return blocks;
}

async function explainPodTemplate(
  template: PodTemplate,
  index: RegistryIndex,
  find: FindSurroundings,
  mode: Mode,
): Promise<readonly string[]> {
  const account = getString(template.value["spec"], "serviceAccountName") ?? "default";
  const { namespaceLabels: labels, serviceAccount, unread } = await find(template.namespace, account);
  const decided = decidePodTemplate(template, { labels, serviceAccount }, index);
  if (decided === undefined) return [titleOf(template), "  nothing    it has no readable pod spec"];
  const { pod, decision, findings } = decided;
  const conditions = decision.kind === "skip" ? [] : conditionsFor(pod, labels);
  const verbs = isHypothetical(conditions) ? WOULD : DOES;
  return [
    titleOf(template),
    ...unread.map((line) => `  not read   ${line}`),
    ...explainImages(pod, labels, index).flatMap((image) => describeImage(image, labels)),
    ...conditions.map((condition, i) => `  ${i === 0 ? "if    " : "and if"}     ${CONDITIONS[condition]}`),
    ...describeDecision(decision, verbs),
    ...findings.flatMap((finding) => describeFinding(finding, verbs, mode)),
    ...decision.warnings.map((warning) => `  warning    ${warning}`),
  ];
}

function describeImage(
  { image, needs, withheld }: ImageExplanation,
  labels: Labels | "unknown",
): readonly string[] {
  const answer = labels === "unknown" ? "maybe" : "not  ";
  return [
    `  image      ${image} needs ${describeNeeds(needs, withheld)}`,
    ...withheld.map(
      (registry) =>
        `    ${answer}    ${nameAndAddress(registry)} covers it, but is only for namespaces with ${formatSelector(registry.namespaces ?? {})}`,
    ),
  ];
}

function describeNeeds(needs: readonly Registry[], withheld: readonly Registry[]): string {
  if (needs.length > 0) return needs.map(nameAndAddress).join(", ");
  return withheld.length > 0 ? "a registry that is limited to certain namespaces" : "no registry";
}

function nameAndAddress({ name, address }: Registry): string {
  return `${name} (${address.text})`;
}

const DOES = { get: "gets     ", mount: "mounts  ", set: "sets    ", push: "pushes  " } as const;
const WOULD = { get: "would get", mount: "would mount", set: "would set", push: "would push" } as const;
type Verbs = typeof DOES | typeof WOULD;

/** Whether something is known not to be so. */
function isHypothetical(conditions: readonly Condition[]): boolean {
  return conditions.some((condition) => condition !== "opted-in");
}

function describeDecision(decision: Decision, verbs: Verbs): readonly string[] {
  if (decision.kind === "skip") return [`  nothing    ${SKIP_REASONS[decision.reason]}`];
  return decision.secretNames.map((secretName) => {
    const registries = decision.registries.filter((registry) => registry.secretName === secretName);
    return `  ${verbs.get}  pull secret ${secretName} for ${registries.map(({ name }) => name).join(", ")}`;
  });
}

function describeFinding(
  { container, builder, recognisedBy, outcome, destinations }: BuildFinding,
  verbs: Verbs,
  mode: Mode,
): readonly string[] {
  const name = JSON.stringify(container).slice(1, -1);
  const title = `  builder    container ${name} is ${builder}: ${recognisedBy}`;
  if (outcome.kind === "skip") {
    return [title, `    left     ${BUILD_SKIP_REASONS[outcome.reason]}`];
  }
  if (mode === "policy") return [title, "    left     a policy mounts nothing, and the mode is policy"];
  const { secretName, directory, registries, env } = outcome;
  return [
    title,
    `    ${verbs.mount} Secret ${secretName} at ${directory} for ${registries.map((registry) => registry.name).join(", ")}`,
    ...env.map((variable) => `    ${verbs.set} ${variable.name}=${variable.value}`),
    ...destinations.map(({ repository, registries: covering }) => {
      const names = covering.map((registry) => registry.name).join(", ");
      return `    ${verbs.push} ${repository} ${names === "" ? "without credentials" : `as ${names}`}`;
    }),
  ];
}

/** What a pod's admission depends on besides the pod itself. */
export interface PodSurroundings {
  readonly namespaceLabels: Labels | "unknown";
  /** Undefined if nothing is known of it. */
  readonly serviceAccount: ServiceAccountInfo | undefined;
  /** What could not be read and why, a line each. */
  readonly unread: readonly string[];
}

export type FindSurroundings = (
  namespace: string | undefined,
  serviceAccount: string,
) => Promise<PodSurroundings>;

export interface ClusterAccess {
  readonly reader: PodReader;
  /** Where manifests belong that name no namespace. */
  readonly defaultNamespace: string;
}

/**
 * Without a cluster only the Namespaces among the documents count. With one, such a Namespace adds its labels to those that
 * it has in the cluster, as applying it will.
 */
export function surroundingsIn(
  documents: readonly { readonly value: unknown }[],
  cluster: ClusterAccess | undefined,
): FindSurroundings {
  const labelsOf = namespaceLabels(documents);
  if (cluster === undefined) {
    return (namespace) =>
      Promise.resolve({ namespaceLabels: labelsOf(namespace), serviceAccount: undefined, unread: [] });
  }
  const { reader, defaultNamespace } = cluster;
  const readLabels = once((namespace) => reader.namespaceLabels(namespace));
  const readAccount = once((namespace, name) => reader.serviceAccount(namespace, name));
  return async (namespace = defaultNamespace, accountName) => {
    const inManifests = labelsOf(namespace);
    const inCluster = await readLabels(namespace);
    const account = await readAccount(namespace, accountName);
    const isUnknown = inManifests === "unknown" && inCluster.value === undefined;
    return {
      namespaceLabels: isUnknown
        ? "unknown"
        : { ...inCluster.value, ...(inManifests === "unknown" ? {} : inManifests) },
      serviceAccount: account.value,
      unread: [inCluster, account].flatMap(({ refusal }) => refusal ?? []),
    };
  };
}

/** One of the two is there. */
interface Reading<T> {
  readonly value?: T;
  readonly refusal?: string;
}

/** Reads each object once. One that cannot be read is a line in the report; without an answer there is no report. */
function once<Names extends readonly string[], T>(
  read: (...names: Names) => Promise<T>,
): (...names: Names) => Promise<Reading<T>> {
  const readings = new Map<string, Promise<Reading<T>>>();
  const readOnce = async (names: Names): Promise<Reading<T>> => {
    try {
      return { value: await read(...names) };
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      return { refusal: error.message };
    }
  };
  return (...names) => {
    const key = names.join("/");
    const reading = readings.get(key) ?? readOnce(names);
    readings.set(key, reading);
    return reading;
  };
}
