/** When the kubelet tries again to pull an image, as far as its Events tell: nothing in a pod's status does. */
import { getString, type JsonObject } from "./kubernetes.ts";
import type { WaitingContainer } from "./stuck-pod.ts";

/** The Events in which the kubelet says that it failed to pull one image of one pod. */
export interface FailedPulls {
  readonly tries: number;
  /** Unix time in milliseconds. */
  readonly lastAt: number;
}

export interface NextTry {
  /** Unix time in milliseconds; undefined where it is not known, or there is none. The kubelet may be up to a minute late. */
  readonly at?: number;
  /** Where no time is to be shown. */
  readonly words: string;
}

/** From kubelet.go: imageBackOffPeriod and MaxImageBackOff. */
const FIRST_WAIT_MS = 10_000;
const MAX_WAIT_MS = 300_000;
/** A wait of 60 s at most before the kubelet looks at the pod again, half as much of jitter: completeWork in pod_workers.go. */
const LATE_MS = 90_000;

/*
 * The first row that holds decides. The kubelet drops Events of a pod that has many, so that the last failure may be an old one.
 *
 * failure            | the wait after the last failure in Events | next try
 * invalid-image-name |                                           | not until it is corrected
 * never-pulled       |                                           | none
 * any other          | there is no such Event                    | within five minutes
 * any other          | ends later                                | then
 * any other          | ended, and the kubelet may be late        | any moment
 * any other          | ended long ago                            | within five minutes
 */
export function nextTry(
  { failure }: Pick<WaitingContainer, "failure">,
  failed: FailedPulls | undefined,
  now: number,
): NextTry {
  if (failure === "invalid-image-name") return { words: "not before the image is corrected" };
  if (failure === "never-pulled") return { words: "none: the pull policy is Never" };
  const at =
    failed === undefined
      ? -Infinity
      : failed.lastAt + Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (failed.tries - 1));
  if (at > now) return { at, words: `about ${new Date(at).toISOString().replace(/\.\d+/, "")}` };
  return { words: at + LATE_MS > now ? "any moment" : "within five minutes" };
}

/** The kubelet's Events of this reason are about more than pulls. */
export const FAILED_PULL_SELECTOR = "involvedObject.kind=Pod,reason=Failed";

/** An aggregated Event has the first words. */
const FAILED_PULL = /^(?:\(combined from similar events\): )?Failed to pull image "([^"]{1,512})"/;

/** By the pod's uid and the image; the same image in two containers is pulled, and waited for, once. */
export function failedPullsIn(events: readonly JsonObject[]): ReadonlyMap<string, FailedPulls> {
  const found = new Map<string, FailedPulls>();
  for (const event of events) {
    const image = FAILED_PULL.exec(getString(event, "message") ?? "")?.[1];
    const uid = getString(event["involvedObject"], "uid");
    if (image === undefined || uid === undefined) continue;
    const key = failedPullsKey(uid, image);
    const { tries, lastAt } = found.get(key) ?? { tries: 0, lastAt: -Infinity };
    // Each wording of the failure is an Event of its own.
    found.set(key, { tries: tries + countOf(event), lastAt: Math.max(lastAt, timeOf(event)) });
  }
  return found;
}

export function failedPullsKey(podUid: string, image: string): string {
  return `${podUid} ${image}`;
}

function countOf({ count }: JsonObject): number {
  return typeof count === "number" && count > 0 ? count : 1;
}

/** Unix time in milliseconds; -Infinity for an Event that does not say. */
export function timeOf(event: JsonObject): number {
  const time = Date.parse(getString(event, "lastTimestamp") ?? getString(event, "eventTime") ?? "");
  return Number.isNaN(time) ? -Infinity : time;
}
