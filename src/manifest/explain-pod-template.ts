/** What a pod or a template of pods gets, why, and under which conditions, as lines for people. */
import { BUILD_SKIP_REASONS, type BuildFinding, type Decision, SKIP_REASONS } from "../core/decision.ts";
import {
  CONDITIONS,
  conditionsFor,
  explainImages,
  type Condition,
  type ImageExplanation,
} from "../core/explain-pod.ts";
import type { ServiceAccountInfo } from "../core/kubernetes.ts";
import { formatSelector, type Labels } from "../core/labels.ts";
import type { Mode } from "../core/mode.ts";
import { escapeControls } from "../core/quote.ts";
import type { Registry, RegistryIndex } from "../core/registry.ts";
import { decidePodTemplate } from "./decide-pod-template.ts";
import { titleOf, type PodTemplate } from "./pod-templates.ts";

/** What a pod's admission depends on besides the pod itself. */
export interface PodSurroundings {
  readonly namespaceLabels: Labels | "unknown";
  /** Undefined if nothing is known of it. */
  readonly serviceAccount: ServiceAccountInfo | undefined;
  /** What could not be read and why, a line each. */
  readonly unread: readonly string[];
}

/** Lines for people, the first of which is the title of the pod or the template. `mode` is what gives pods their pull secrets. */
export function explainPodTemplate(
  template: PodTemplate,
  index: RegistryIndex,
  { namespaceLabels: labels, serviceAccount, unread }: PodSurroundings,
  mode: Mode,
): readonly string[] {
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
  const title = `  builder    container ${escapeControls(container)} is ${builder}: ${recognisedBy}`;
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
