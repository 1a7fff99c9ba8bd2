/** The pods of `pullpass doctor`: why each does not get its images. */
import { diagnose, type Diagnosis, type DiagnosisContext } from "../core/diagnosis.ts";
import { controllerOf } from "../core/heal.ts";
import type { HealEvent } from "../core/heal-events.ts";
import { getString } from "../core/kubernetes.ts";
import { nextTry } from "../core/next-try.ts";
import type { PullSecretState } from "../core/pull-secret.ts";
import type { Registry } from "../core/registry.ts";
import {
  note,
  unknownRegistries,
  type DoctorFacts,
  type Finding,
  type NamespaceFacts,
  type PodFacts,
  type PodFinding,
} from "./doctor-facts.ts";

const UNKNOWN: PullSecretState = { kind: "unknown" };

/**
 * The stuck pods of namespaces that opted in, those of one controller with one verdict together. Of others those whose images a
 * registry covers, in one sentence; where a namespace or a pod was named, all of them.
 */
export function reportPods(facts: DoctorFacts): readonly (Finding | PodFinding)[] {
  if (facts.pods === undefined) return [];
  const contextOf = prepareContexts(facts);
  const groups = new Map<string, PodFinding & { readonly pods: string[] }>();
  const notOptedIn: string[] = [];
  for (const found of facts.pods) {
    const { metadata } = found.pod;
    const namespace = getString(metadata, "namespace") ?? "";
    const name = getString(metadata, "name") ?? "";
    const context = contextOf(namespace, found);
    const diagnosis = diagnose(found.pod, context);
    if (facts.scope.namespace === undefined && !context.namespace.isOptedIn) {
      if (diagnosis.code === "namespace-not-opted-in") notOptedIn.push(`${namespace}/${name}`);
      continue;
    }
    const finding = podFinding(namespace, found, diagnosis, facts.now);
    const { code, message, controller } = finding;
    const key =
      controller === null ? `${namespace}/${name}` : [namespace, controller, code, message].join("\n");
    groups.getOrInsertComputed(key, () => finding).pods.push(name);
  }
  const rest = notOptedIn.length === 0 ? [] : [describeNotOptedIn(notOptedIn)];
  if (groups.size === 0) rest.unshift(noneStuck(facts.scope.namespace));
  return [...groups.values(), ...rest, ...facts.healEvents.slice(0, MAX_HEAL_EVENTS).map(healFinding)];
}

/** The API server keeps Events for an hour by default. */
const MAX_HEAL_EVENTS = 10;

function healFinding({ namespace, reason, controller, message, at }: HealEvent): Finding {
  return {
    ...note(reason, `${controller} in ${namespace} at ${new Date(at).toISOString()}: ${message}`),
    namespaces: [namespace],
  };
}

function noneStuck(namespace: string | undefined): Finding {
  const where = namespace === undefined ? "a namespace that opted in" : `namespace ${namespace}`;
  return {
    state: "ok",
    code: "none-stuck",
    message: `no pod of ${where} waits for an image that could not be pulled`,
  };
}

const MAX_NAMED = 5;

function describeNotOptedIn(pods: readonly string[]): Finding {
  const named = pods.slice(0, MAX_NAMED).join(", ");
  const more = pods.length > MAX_NAMED ? `, and ${(pods.length - MAX_NAMED).toString()} more` : "";
  const [subject, they] =
    pods.length === 1
      ? ["1 stuck pod is in a namespace", "it waits"]
      : [`${pods.length.toString()} stuck pods are in namespaces`, "they wait"];
  return {
    state: "note",
    code: "namespace-not-opted-in",
    message: `${subject} that did not opt in, and a registry covers what ${they} for: ${named}${more}`,
    namespaces: [...new Set(pods.map((pod) => pod.slice(0, pod.indexOf("/"))))],
  };
}

function podFinding(
  namespace: string,
  { pod, answers, failedPulls }: PodFacts,
  { code, sentence, advice, containers }: Diagnosis,
  now: number,
): PodFinding & { readonly pods: string[] } {
  const controller = controllerOf(pod);
  return {
    state: code === "nothing-wrong" ? "ok" : "fault",
    ...{ code, message: sentence, advice, namespace, pods: [] },
    controller: controller === undefined ? null : `${controller.kind}/${controller.name}`,
    containers: containers.map((container) => ({
      container: container.container,
      image: container.image,
      code: container.code,
      message: container.sentence,
      advice: container.advice,
      nextTry: nextTry(container, failedPulls(container.image), now).words,
      ...(answers.has(container.image) && { answers: answers.get(container.image) ?? [] }),
    })),
  };
}

function prepareContexts(facts: DoctorFacts): (namespace: string, pod: PodFacts) => DiagnosisContext {
  const { known, copies, now } = facts;
  const namespaces = new Map(facts.namespaces?.map((namespace) => [namespace.name, namespace]));
  const createdAt = new Map(
    (Array.isArray(known.objects) ? known.objects : []).map(({ metadata }) => [
      getString(metadata, "name") ?? "",
      Date.parse(getString(metadata, "creationTimestamp") ?? ""),
    ]),
  );
  const hasUnknown = copies === undefined || unknownRegistries(copies, known).length > 0;
  const isIndexComplete = known.objects !== undefined && (known.fromFile > 0 || !hasUnknown);
  const registryCreatedAt = ({ name }: Registry): number | undefined => createdAt.get(name);
  return (namespace, { pullSecrets, serviceAccount }) => ({
    namespace: namespaceInfo(namespaces.get(namespace)),
    ...{ serviceAccount, index: known.index, isIndexComplete, registryCreatedAt, now },
    optedInAt: namespaces.get(namespace)?.optedInAt,
    pullSecret: (name) => pullSecrets.get(name) ?? UNKNOWN,
  });
}

/** A namespace that could not be read counts as opted in, which `notRead` lets people judge. */
function namespaceInfo(namespace: NamespaceFacts | undefined): DiagnosisContext["namespace"] {
  return namespace ?? { isOptedIn: true, labels: "unknown" };
}
