/** What keeps evictions few: how many there may be, and none of a controller whose next pod was no better. */
import type { Controller } from "../core/heal.ts";
import type { PodName } from "../kube/resources/evictions.ts";

/** A pod of a controller. Times are Unix times in milliseconds. */
export interface ControlledPod extends PodName {
  readonly uid: string;
  readonly createdAt: number;
}

export interface SuccessorWatchOptions {
  /** So long a controller's next pod is watched at least. */
  readonly successorMs: number;
  /** No pod of a controller is touched for so long where its next pod was no better. */
  readonly handsOffMs: number;
  readonly maxControllers: number;
  /** One that was created since then still is pending. */
  readonly hasPendingSuccessor: (namespace: string, controllerUid: string, since: number) => Promise<boolean>;
  readonly onNoBetter: (pod: ControlledPod, controller: Controller) => void;
}

export interface SuccessorWatch {
  has(controllerUid: string): boolean;
  /** A pod of the controller was evicted just now. */
  add(controllerUid: string, evictedUid: string): void;
  /** True while no pod of the controller may be evicted. The pod is one that cannot pull. */
  isWatched(pod: ControlledPod, controller: Controller): Promise<boolean>;
}

interface Eviction {
  readonly uid: string;
  readonly at: number;
  handsOffUntil: number | undefined;
}

/** One pod of a controller at a time: until its next pod is seen to be better, or to be no better. */
export function createSuccessorWatch(options: SuccessorWatchOptions): SuccessorWatch {
  /** The last one, by the uid of the controller. */
  const evictions = new Map<string, Eviction>();
  return {
    has: (controllerUid) => evictions.has(controllerUid),
    add(controllerUid, evictedUid) {
      evictions.set(controllerUid, { uid: evictedUid, at: Date.now(), handsOffUntil: undefined });
      dropOldest(evictions, options.maxControllers);
    },
    async isWatched(pod, controller) {
      const eviction = evictions.get(controller.uid);
      if (eviction === undefined) return false;
      if (eviction.handsOffUntil !== undefined) {
        if (Date.now() < eviction.handsOffUntil) return true;
        evictions.delete(controller.uid);
        return false;
      }
      // Kubernetes keeps times in whole seconds.
      const since = Math.floor(eviction.at / 1000) * 1000;
      if (pod.uid !== eviction.uid && pod.createdAt >= since) {
        eviction.handsOffUntil = Date.now() + options.handsOffMs;
        options.onNoBetter(pod, controller);
        return true;
      }
      if (Date.now() < eviction.at + options.successorMs) return true;
      if (await options.hasPendingSuccessor(pod.namespace, controller.uid, since)) return true;
      evictions.delete(controller.uid);
      return false;
    },
  };
}

/** Takes a token, if there is one: `burst` at first, and then one in so many milliseconds. */
export function createTokenBucket(burst: number, intervalMs: number): () => boolean {
  let tokens = burst;
  let refilledAt = Date.now();
  return () => {
    const now = Date.now();
    const refilled = Math.floor((now - refilledAt) / intervalMs);
    tokens = Math.min(burst, tokens + refilled);
    refilledAt += refilled * intervalMs;
    if (tokens < 1) return false;
    tokens--;
    return true;
  };
}

export function dropOldest(remembered: Map<string, unknown>, max: number): void {
  const oldest = remembered.keys().next();
  if (remembered.size > max && oldest.done !== true) remembered.delete(oldest.value);
}
