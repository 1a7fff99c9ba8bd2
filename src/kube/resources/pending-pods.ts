/** Pods that have not started: what is kept of each. */
import { asArray, getString, isObject, type JsonObject } from "../../core/kubernetes.ts";
import { asPod } from "../../core/pod.ts";
import type { Versioned } from "../../core/store.ts";
import { readStuckPod, type StuckPod } from "../../core/stuck-pod.ts";
import type { ObjectReference } from "../../replicator/ports.ts";
import type { StringPool } from "../string-pool.ts";
import { readMetadata } from "./metadata.ts";

/** All pods in phase Pending: scheduled or not, and until each container has run once. */
export const PENDING_PODS = {
  path: "/api/v1/pods",
  query: { fieldSelector: "status.phase=Pending" },
} as const;

export interface PendingPod extends Versioned {
  readonly uid: string;
  /** Undefined for a pod that does not wait for an image, which is most of them; or, later, where there is no room for it. */
  stuck: StuckPod | undefined;
  readonly serviceAccountName: string;
  /** Its controller, or else the pod itself. */
  readonly owner: ObjectReference;
}

/**
 * Three containers with the longest texts and images, and as many names of pull secrets, are 12 KB a pod, where somebody wants them to
 * be; what a workload has is 1 KB, most of which its replicas share.
 */
const LIMITS = { maxContainers: 3, maxPullSecrets: 32, maxImageLength: 512 };

export function readPendingPod(object: JsonObject, pool: StringPool): PendingPod {
  const { namespace, name, uid, version } = readMetadata(object);
  const pod = asPod(object);
  const limits = { ...LIMITS, pool: (text: string) => pool(detach(text)) };
  const stuck = pod && readStuckPod({ ...pod, status: object["status"] }, limits);
  const controller = asArray(pod?.metadata["ownerReferences"]).find(
    (owner) => isObject(owner) && owner["controller"] === true,
  );
  const own = { apiVersion: "v1", kind: "Pod", name, uid };
  const owner = controller === undefined ? own : referenceOf(controller);
  return {
    ...{ uid, version },
    stuck: stuck?.waiting.length === 0 ? undefined : stuck,
    serviceAccountName: pool(getString(pod?.spec, "serviceAccountName") ?? "default"),
    owner: { namespace, ...owner },
  };
}

/** V8 keeps the whole string for as long as it keeps a slice of it; so that a long one is not kept, the slice is copied. */
function detach(text: string): string {
  return Buffer.from(text).toString();
}

function referenceOf(owner: unknown): Omit<ObjectReference, "namespace"> {
  const string = (key: string): string => getString(owner, key) ?? "";
  return {
    apiVersion: string("apiVersion"),
    kind: string("kind"),
    name: string("name"),
    uid: string("uid"),
  };
}
