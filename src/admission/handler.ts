/**
 * Answers reviews.
 *
 * | what is seen                                  | HTTP | answer           | warning | metric `reason`         |
 * | --------------------------------------------- | ---- | ---------------- | ------- | ----------------------- |
 * | wrong method, path, content type              | 4xx  | one line         |         | (http/routes)           |
 * | too large, and not a review as far as read    | 413  | one line         |         | (http/routes)           |
 * | the same, while other large ones are pending  | 503  | one line         |         | (http/routes)           |
 * | not JSON, not an AdmissionReview, no uid      | 400  | one line         |         | (http/routes)           |
 * | an operation other than CREATE, a subresource | 200  | allowed          |         | not-a-create, not-a-pod |
 * | another kind than a Pod                       | 200  | allowed          |         | not-a-pod               |
 * | a pod too large to be read as a whole         | 200  | allowed          | yes     | review-too-large        |
 * | a large pod, while others are pending         | 200  | allowed          | yes     | too-many-large-reviews  |
 * | a request or a pod of a shape we do not know  | 200  | allowed          | yes     | unknown-shape           |
 * | a pod's creation                              | 200  | allowed, maybe   | maybe   | of the decision         |
 * |                                               |      | with a patch     |         |                         |
 */
import { type Decision, type Injection, skip, SKIP_REASONS, type SkipReason } from "../core/decision.ts";
import { asArray, isObject, getString, type Pod } from "../core/kubernetes.ts";
import { patchPod } from "../core/patch.ts";
import { asPod } from "../core/pod.ts";
import { decide } from "../core/policy.ts";
import type { AdmissionPorts, ReviewHandler } from "./ports.ts";
import type { Review } from "./review.ts";

/** The handler over what is known of the cluster and the configuration. It does not throw, whatever the request holds. */
export function reviewHandler(ports: AdmissionPorts): ReviewHandler {
  return (review) => {
    const { request } = review;
    const namespace = nameIn(request, "namespace") ?? "";
    const pod = asPod(request["object"]);
    const owner = pod === undefined ? undefined : ownerOf(pod);
    const decision = decideRequest(review, pod, namespace, ports);
    const patch = pod !== undefined && decision.kind === "inject" ? encodePatch(pod, decision) : undefined;
    return { answer: { patch, warnings: decision.warnings }, decision, namespace, owner };
  };
}

/** As JSON in standard base64 with padding, which is how the API server reads bytes. */
function encodePatch(pod: Pod, injection: Injection): string {
  return Buffer.from(JSON.stringify(patchPod(pod, injection)), "utf8").toString("base64");
}

function decideRequest(
  { request, unread }: Review,
  pod: Pod | undefined,
  namespace: string,
  ports: AdmissionPorts,
): Decision {
  const { operation, kind, subResource } = request;
  if (typeof operation !== "string" || !isObject(kind)) return skipWithWarning("unknown-shape");
  if (operation !== "CREATE") return skip("not-a-create");
  const isPodKind = kind["kind"] === "Pod" && kind["version"] === "v1" && !isNamed(kind["group"]);
  if (!isPodKind || isNamed(subResource)) return skip("not-a-pod");
  if (unread !== undefined) return skipWithWarning(unread);
  if (pod === undefined || namespace === "") return skipWithWarning("unknown-shape");

  const context = {
    namespace: ports.namespace(namespace),
    buildSecret: ports.buildSecret(namespace),
    serviceAccount: ports.serviceAccount(namespace, getString(pod.spec, "serviceAccountName") ?? "default"),
  };
  return decide(pod, context, ports.registries());
}

function skipWithWarning(reason: SkipReason): Decision {
  return skip(reason, [`pullpass: nothing injected: ${SKIP_REASONS[reason]}`]);
}

/** The API server leaves empty texts out, so absent and empty say the same. */
function isNamed(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function ownerOf(pod: Pod): string | undefined {
  const owners = asArray(pod.metadata["ownerReferences"]).filter(isObject);
  const owner = owners.find((candidate) => candidate["controller"] === true);
  const kind = nameIn(owner, "kind");
  const name = nameIn(owner, "name");
  return kind === undefined || name === undefined ? undefined : `${kind}/${name}`;
}

/** A member that is a name. No name in Kubernetes is longer; the log waits for more reviews, and would keep what is. */
function nameIn(object: unknown, key: string): string | undefined {
  const name = getString(object, key);
  return name !== undefined && name.length <= MAX_NAME_LENGTH ? name : undefined;
}

/** A DNS subdomain (RFC 1123). */
const MAX_NAME_LENGTH = 253;

/** What the log and the metrics report of a review. */
export interface ReviewEvent {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly durationSeconds: number;
  readonly uid: string;
  readonly namespace: string;
  readonly owner: string | undefined;
  readonly decision: Decision;
}

export type ReviewObserver = (event: ReviewEvent) => void;

/** Clocks in milliseconds: `now` is the time of day, `elapsed` never goes back. */
export interface Clocks {
  readonly now: () => number;
  readonly elapsed: () => number;
}

/** A handler that also reports each review and how long it took. */
export function measured(handle: ReviewHandler, clocks: Clocks, observe: ReviewObserver): ReviewHandler {
  return (review) => {
    const start = clocks.elapsed();
    const handled = handle(review);
    const { decision, namespace, owner } = handled;
    const durationSeconds = (clocks.elapsed() - start) / 1000;
    observe({ time: clocks.now(), durationSeconds, uid: review.uid, namespace, owner, decision });
    return handled;
  };
}
