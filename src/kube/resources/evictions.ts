/** What it takes to evict a pod with care: the pod, its Job, the budgets of its namespace, and the eviction itself. */
import type { V1Job, V1LabelSelector, V1Pod } from "@kubernetes/client-node";
import type { DisruptionBudget } from "../../core/heal.ts";
import type { JsonObject } from "../../core/kubernetes.ts";
import type { LabelSelector } from "../../core/labels.ts";
import type { ApisFor } from "../api.ts";
import { hasStatus, isConflict, isNotFound, KubeNotSentError, unlessMissing } from "../errors.ts";

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** Undefined if there is none. */
export async function readPod(apisFor: ApisFor, { namespace, name }: PodName): Promise<V1Pod | undefined> {
  return unlessMissing(apisFor("low").core.readNamespacedPod({ namespace, name }));
}

/** Undefined if there is none. */
export async function readJob(apisFor: ApisFor, { namespace, name }: PodName): Promise<V1Job | undefined> {
  return unlessMissing(apisFor("low").batch.readNamespacedJob({ namespace, name }));
}

/** Those with a selector; without one a budget selects no pod. */
export async function listBudgets(apisFor: ApisFor, namespace: string): Promise<readonly DisruptionBudget[]> {
  const { items } = await apisFor("low").policy.listNamespacedPodDisruptionBudget({ namespace });
  return items.flatMap(({ spec, status }) =>
    spec?.selector === undefined
      ? []
      : [{ selector: selectorOf(spec.selector), disruptionsAllowed: status?.disruptionsAllowed ?? 0 }],
  );
}

/** The API server takes only these operators. */
function selectorOf({ matchLabels, matchExpressions }: V1LabelSelector): LabelSelector {
  return { matchLabels, matchExpressions } as LabelSelector;
}

/** Whether pods of the namespace that wait have that controller, and were created at or after `since` (Unix time, ms). */
export async function hasPendingSuccessor(
  apisFor: ApisFor,
  namespace: string,
  controllerUid: string,
  since: number,
): Promise<boolean> {
  const fieldSelector = "status.phase=Pending";
  const { items } = await apisFor("low").core.listNamespacedPod({ namespace, fieldSelector });
  return items.some(
    ({ metadata }) =>
      metadata?.ownerReferences?.some(({ uid }) => uid === controllerUid) === true &&
      Number(metadata.creationTimestamp) >= since,
  );
}

/** The webhook is registered. */
export async function isRegistered(apisFor: ApisFor, name: string): Promise<boolean> {
  const fieldSelector = `metadata.name=${name}`;
  const { items } = await apisFor("low").admissionRegistration.listMutatingWebhookConfiguration({
    fieldSelector,
  });
  return items.length > 0;
}

/**
 * | answer                                              | outcome     |
 * | --------------------------------------------------- | ----------- |
 * | 201                                                 | evicted     |
 * | 404; 409: it is another pod, or it changed          | changed     |
 * | 429: a budget allows no disruption                  | refused     |
 * | not sent                                            | not-leading |
 */
export type EvictionOutcome = "evicted" | "changed" | "refused" | "not-leading";

/** Evicts the pod as it was read, and no other one. */
export async function evict(
  apisFor: ApisFor,
  pod: PodName & { readonly uid: string; readonly resourceVersion: string },
): Promise<EvictionOutcome> {
  const { namespace, name, uid, resourceVersion } = pod;
  const deleteOptions = { preconditions: { uid, resourceVersion } };
  const body = { metadata: { namespace, name }, deleteOptions };
  try {
    await apisFor("low").core.createNamespacedPodEviction({ namespace, name, body });
    return "evicted";
  } catch (error) {
    if (error instanceof KubeNotSentError) return "not-leading";
    if (isNotFound(error) || isConflict(error)) return "changed";
    if (hasStatus(error, 429)) return "refused";
    throw error;
  }
}

/** As it came over the wire, but for times, which the typed API makes objects of. */
export function asJson(object: object): JsonObject {
  return JSON.parse(JSON.stringify(object)) as JsonObject;
}
