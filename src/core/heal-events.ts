/** The Events that tell people what became of pods that could pull if they were created again. */
import { controllerOf, type PodWithStatus } from "./heal.ts";
import { getString, type JsonObject } from "./kubernetes.ts";
import { MANAGER } from "./labels.ts";
import { timeOf } from "./next-try.ts";

export type HealEventReason = "EvictedToPull" | "EvictionDidNotHelp" | "LeftAlone";

export interface HealEvent {
  readonly namespace: string;
  readonly reason: HealEventReason;
  /** Such as `ReplicaSet/web-5d8f`; a pod that has none stands for itself. */
  readonly controller: string;
  readonly message: string;
  /** Unix time in milliseconds. */
  readonly at: number;
}

/** Pullpass writes other Events, too. */
export const HEAL_EVENTS_SELECTOR = `source=${MANAGER}`;

const REASONS: ReadonlySet<unknown> = new Set<HealEventReason>([
  "EvictedToPull",
  "EvictionDidNotHelp",
  "LeftAlone",
]);
/** Anybody who may write Events may write long ones. */
const MAX_EVENT_TEXT = 400;

/** What {@link healEventsIn} knows a controller by. */
export function controllerKey(namespace: string, controller: string): string {
  return `${namespace} ${controller}`;
}

/** The key of the pod's controller, or of the pod itself. */
export function controllerKeyOf(pod: PodWithStatus): string {
  const { metadata } = pod;
  const { kind, name } = controllerOf(pod) ?? { kind: "Pod", name: getString(metadata, "name") ?? "" };
  return controllerKey(getString(metadata, "namespace") ?? "", `${kind}/${name}`);
}

/**
 * The latest first. A pod is left alone as long as its controller is among `stuck`, for the last reason that was given.
 *
 * @param stuck keys of controllers that have a pod that cannot pull
 */
export function healEventsIn(
  events: readonly JsonObject[],
  stuck: ReadonlySet<string>,
): readonly HealEvent[] {
  const latestFirst = events
    .flatMap(readEvent)
    .filter(({ at }) => at > -Infinity)
    .toSorted((a, b) => b.at - a.at);
  const seen = new Set<string>();
  return latestFirst.filter(({ namespace, controller, reason }) => {
    const key = controllerKey(namespace, controller);
    const isLatest = !seen.has(key);
    seen.add(key);
    return reason !== "LeftAlone" || (isLatest && stuck.has(key));
  });
}

function readEvent(event: JsonObject): readonly HealEvent[] {
  const reason = getString(event, "reason") as HealEventReason | undefined;
  if (reason === undefined || !REASONS.has(reason)) return [];
  const involved = event["involvedObject"];
  const [namespace = "", kind = "", name = ""] = ["namespace", "kind", "name"].map((key) =>
    getString(involved, key),
  );
  const message = (getString(event, "message") ?? "").slice(0, MAX_EVENT_TEXT);
  return [{ namespace, reason, controller: `${kind}/${name}`, message, at: timeOf(event) }];
}
