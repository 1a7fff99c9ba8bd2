/** Decides whether a pod that cannot pull may be evicted, so that its controller creates one that can. */
import type { ContainerVerdict } from "./diagnosis.ts";
import { asArray, getString, isObject, type JsonObject, type Pod } from "./kubernetes.ts";
import {
  INJECT_LABEL,
  MIRROR_ANNOTATION,
  selectorMatches,
  type LabelSelector,
  type Labels,
} from "./labels.ts";
import { annotationOf, labelOf } from "./pod.ts";
import type { PullFailure } from "./pull-message.ts";

/** A pod as the API server sends it. */
export type PodWithStatus = Pod & { readonly status?: unknown };

/** What is known of the pod's surroundings. */
export interface HealContext {
  /** The namespace opted in to heal. */
  readonly isEnabled: boolean;
  /** What {@link diagnose} says of the pod as it is now. */
  readonly containers: readonly ContainerVerdict[];
  /** The pod's controller, where it is a Job. */
  readonly job: JsonObject | undefined;
  /** The PodDisruptionBudgets of the namespace. Evictions of pending pods pass them by, so they are looked at here. */
  readonly budgets: readonly DisruptionBudget[];
  /** Whether the namespace has the copy of that name. */
  readonly hasCopy: (secretName: string) => boolean;
  /** New pods go through our webhook, so that the next pod is better. */
  readonly isWebhookReady: boolean;
  /** Unix time in milliseconds. */
  readonly now: number;
}

export interface DisruptionBudget {
  readonly selector: LabelSelector;
  readonly disruptionsAllowed: number;
}

export interface Controller {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export type HealDecision =
  | { readonly kind: "evict"; readonly controller: Controller }
  | { readonly kind: "leave"; readonly reason: LeaveReason };

export type LeaveReason = keyof typeof LEAVE_ALONE_REASONS;

export const LEAVE_ALONE_REASONS = {
  "not-enabled": "the namespace does not have the label pullpass.dev/heal=enabled",
  "mirror-pod": "it stands for a static pod",
  "pod-opted-out": "it has the label pullpass.dev/inject=disabled",
  terminating: "it is being deleted",
  "no-controller": "nothing would create it again",
  "other-controller": "its controller is not a ReplicaSet, a StatefulSet, a DaemonSet or a Job",
  "job-counts-failures": "its Job would count the eviction as a failure",
  "too-young": "it was created less than 30 seconds ago",
  "has-run": "one of its containers has run",
  "not-refused": "one of its images is not pulled for another reason than missing credentials",
  "lacks-nothing": "it names the pull secrets that a new pod would get; kubelet tries again by itself",
  "copy-missing": "the namespace does not have the copy yet",
  "disruption-budget": "a PodDisruptionBudget allows no disruption",
  "webhook-not-ready": "new pods would not get their pull secrets now",
} as const;

/** Of pods that would be evicted but for this; the other reasons pass by themselves, or are the pod's own. */
export const WORTH_TELLING: ReadonlySet<LeaveReason> = new Set([
  ...(["no-controller", "other-controller", "job-counts-failures", "has-run"] as const),
  ...(["copy-missing", "disruption-budget", "webhook-not-ready"] as const),
]);

const MIN_AGE_MS = 30_000;

/*
 * The first row that holds decides.
 *
 * the pod, or what is around it                                               | it is left alone, because
 * its namespace did not opt in to heal                                        | not-enabled
 * stands for a static pod                                                     | mirror-pod
 * opted out                                                                   | pod-opted-out
 * is being deleted                                                            | terminating
 * has no controller                                                           | no-controller
 * its controller is no ReplicaSet, StatefulSet, DaemonSet or Job              | other-controller
 * its controller is a Job that does not forgive a disruption                  | job-counts-failures
 * is younger than 30 s                                                        | too-young
 * a container started once, or an init container did                          | has-run
 * no container waits for an image, or one does for want of something else     | not-refused
 * a waiting container lacks no secret that a new pod would get for its image  | lacks-nothing
 * one of these secrets is not in the namespace                                | copy-missing
 * a PodDisruptionBudget that selects it allows no disruption                  | disruption-budget
 * Pullpass would not give new pods their pull secrets                          | webhook-not-ready
 * anything else                                                               | it is evicted
 */
export function decideHeal(pod: PodWithStatus, context: HealContext): HealDecision {
  const controller = controllerOf(pod);
  const { containers, isEnabled, job, hasCopy, budgets, isWebhookReady, now } = context;
  if (!isEnabled) return leave("not-enabled");
  if (annotationOf(pod, MIRROR_ANNOTATION) !== undefined) return leave("mirror-pod");
  if (labelOf(pod, INJECT_LABEL) === "disabled") return leave("pod-opted-out");
  if (pod.metadata["deletionTimestamp"] !== undefined) return leave("terminating");
  if (controller === undefined) return leave("no-controller");
  if (controller.kind === "Job") {
    if (!forgivesDisruption(job)) return leave("job-counts-failures");
  } else if (!CONTROLLERS.has(controller.kind)) {
    return leave("other-controller");
  }
  if (!(now - Date.parse(getString(pod.metadata, "creationTimestamp") ?? "") >= MIN_AGE_MS))
    return leave("too-young");
  if (containerStatuses(pod).some(hasStarted)) return leave("has-run");
  if (containers.length === 0 || !containers.every(({ failure }) => REFUSED.has(failure)))
    return leave("not-refused");
  if (containers.some(({ lacking }) => lacking.length === 0)) return leave("lacks-nothing");
  if (!containers.every(({ lacking }) => lacking.every(hasCopy))) return leave("copy-missing");
  if (budgets.some((budget) => forbids(budget, pod))) return leave("disruption-budget");
  return isWebhookReady ? { kind: "evict", controller } : leave("webhook-not-ready");
}

/** Whether an eviction could help at all, before anything else is asked about the pod. */
export function couldHelp(containers: readonly ContainerVerdict[]): boolean {
  return containers.every(({ failure, lacking }) => REFUSED.has(failure) && lacking.length > 0);
}

function leave(reason: LeaveReason): HealDecision {
  return { kind: "leave", reason };
}

/** They create a pod again however often one is evicted. */
const CONTROLLERS: ReadonlySet<string> = new Set(["ReplicaSet", "StatefulSet", "DaemonSet"]);

const REFUSED: ReadonlySet<PullFailure> = new Set(["unauthorized", "forbidden", "expired"]);

export function controllerOf({ metadata }: PodWithStatus): Controller | undefined {
  const owners = asArray(metadata["ownerReferences"]).filter(isObject);
  const owner = owners.find((candidate) => candidate["controller"] === true);
  if (owner === undefined) return undefined;
  const [apiVersion = "", kind = "", name = "", uid = ""] = ["apiVersion", "kind", "name", "uid"].map((key) =>
    getString(owner, key),
  );
  return { apiVersion, kind, name, uid };
}

/*
 * A Job counts a deleted pod as failed, which brings it nearer to its `backoffLimit`.
 * https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
 *
 * the rule of podFailurePolicy about DisruptionTarget | podReplacementPolicy | tries left   | forgives
 * Ignore                                              |                      |              | yes
 * another action                                      |                      |              | no
 * none                                                | Failed               |              | yes
 * none                                                | another              | more than 1  | yes
 * none                                                | another              | 1 or 0       | no
 */
function forgivesDisruption(job: JsonObject | undefined): boolean {
  const spec = job?.["spec"];
  if (!isObject(spec)) return false;
  const policy = spec["podFailurePolicy"];
  const rules = asArray(isObject(policy) ? policy["rules"] : undefined).filter(isObject);
  const rule = rules.find(({ onPodConditions }) =>
    asArray(onPodConditions).some((condition) => getString(condition, "type") === "DisruptionTarget"),
  );
  if (rule !== undefined) return getString(rule, "action") === "Ignore";
  if (spec["podReplacementPolicy"] === "Failed") return true;
  const status = job?.["status"];
  const failed = isObject(status) && typeof status["failed"] === "number" ? status["failed"] : 0;
  const limit = typeof spec["backoffLimit"] === "number" ? spec["backoffLimit"] : DEFAULT_BACKOFF_LIMIT;
  return limit - failed > 1;
}

/** https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy */
const DEFAULT_BACKOFF_LIMIT = 6;

function containerStatuses({ status }: PodWithStatus): readonly JsonObject[] {
  if (!isObject(status)) return [];
  return ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"].flatMap((list) =>
    asArray(status[list]).filter(isObject),
  );
}

function hasStarted({ state, lastState, restartCount }: JsonObject): boolean {
  const isRunningOrOver =
    isObject(state) && (state["running"] !== undefined || state["terminated"] !== undefined);
  const hadAnother = isObject(lastState) && Object.keys(lastState).length > 0;
  return isRunningOrOver || hadAnother || (typeof restartCount === "number" && restartCount > 0);
}

function forbids({ selector, disruptionsAllowed }: DisruptionBudget, { metadata }: PodWithStatus): boolean {
  const labels = isObject(metadata["labels"]) ? (metadata["labels"] as Labels) : {};
  return disruptionsAllowed <= 0 && selectorMatches(selector, labels);
}
