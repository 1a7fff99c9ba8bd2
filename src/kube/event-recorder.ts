/** Writes what people have to know as Events; client-node has no recorder. */
import { randomBytes } from "node:crypto";
import type { CoreV1Event, V1ObjectReference } from "@kubernetes/client-node";
import { MANAGER } from "../core/labels.ts";
import type { ClusterWarning, Warn } from "../replicator/ports.ts";
import type { ApisFor } from "./api.ts";
import { isConflict } from "./errors.ts";

/** The API server keeps an Event for an hour by default (`--event-ttl`): written again then, it always is there. */
const REPEAT_AFTER_MS = 60 * 60_000;
/** Some hundred bytes each. A cluster with more faults than that writes some of them again sooner. */
const MAX_REMEMBERED = 2_000;
/** Events are kept in etcd like all else: no fault of ours, however wide, may write more of them. */
const MAX_PER_MINUTE = 60;
const MINUTE_MS = 60_000;
const MAX_IN_FLIGHT = 4;
/** The bound of `events.k8s.io` for the note. */
const MAX_MESSAGE_LENGTH = 1024;
/** A name has at most 253 characters, and a dot and 16 hexadecimal digits follow. */
const MAX_NAME_PREFIX_LENGTH = 236;

export interface EventRecorderOptions {
  readonly apisFor: ApisFor;
  /** Our own pod, which warnings about nothing else are about; where it is not known they are only logged. */
  readonly pod?: { readonly namespace: string; readonly name: string; readonly uid?: string };
  /** Called with every warning that is not a repetition. */
  readonly log: (warning: ClusterWarning) => void;
  /** Called with why an Event was not written. The warning is not held for a repetition then. */
  readonly onFailure: (error: unknown) => void;
  /** Never goes back; only differences count. */
  readonly monotonicMs?: () => number;
}

/** There were too many others. */
export class EventDroppedError extends Error {
  override readonly name = "EventDroppedError";
}

interface WaitingEvent {
  readonly key: string;
  readonly warning: ClusterWarning;
  readonly involved: InvolvedObject;
}

type InvolvedObject = V1ObjectReference & { readonly namespace: string; readonly name: string };

/** `kubectl events -n NAMESPACE --for secret/NAME` prints what it writes, or `--for namespace/NAMESPACE`. */
export function createEventRecorder(options: EventRecorderOptions): Warn {
  const { pod, log, onFailure, monotonicMs = () => performance.now() } = options;
  const { core } = options.apisFor();
  const recorded = createTtlSet({ ttlMs: REPEAT_AFTER_MS, maxKeys: MAX_REMEMBERED });
  const waiting: WaitingEvent[] = [];
  let inFlight = 0;
  let minuteBegan = -Infinity;
  let inThisMinute = 0;

  function mayWrite(): boolean {
    const now = monotonicMs();
    if (now - minuteBegan >= MINUTE_MS) {
      minuteBegan = now;
      inThisMinute = 0;
    }
    // Those of earlier minutes wait where the API server is slow.
    return waiting.length < MAX_PER_MINUTE && ++inThisMinute <= MAX_PER_MINUTE;
  }

  async function write({ key, warning, involved }: WaitingEvent): Promise<void> {
    inFlight++;
    try {
      const body = eventOf(warning, involved, new Date());
      await core.createNamespacedEvent({ namespace: involved.namespace, body });
    } catch (error) {
      // Sent twice by the client, because the first answer was lost.
      if (!isConflict(error)) {
        recorded.forget(key);
        onFailure(error);
      }
    } finally {
      inFlight--;
      writeNext();
    }
  }

  function writeNext(): void {
    const next = inFlight < MAX_IN_FLIGHT ? waiting.shift() : undefined;
    if (next !== undefined) void write(next);
  }

  return (warning) => {
    const involved = involvedObject(warning, pod);
    const key = JSON.stringify([involved, warning.reason, warning.message]);
    if (!recorded.add(key, monotonicMs())) return;
    log(warning);
    if (involved === undefined) return;
    if (!mayWrite()) {
      recorded.forget(key);
      onFailure(
        new EventDroppedError(`an event was not written: there were ${String(MAX_PER_MINUTE)} others`),
      );
      return;
    }
    waiting.push({ key, warning, involved });
    writeNext();
  };
}

function involvedObject(
  { secret, namespace, object }: ClusterWarning,
  pod: EventRecorderOptions["pod"],
): InvolvedObject | undefined {
  if (object !== undefined) return object;
  if (secret !== undefined) return { apiVersion: "v1", kind: "Secret", ...secret };
  // In the namespace itself, where its users may read Events; those of objects without a namespace go to `default`.
  if (namespace !== undefined) return { apiVersion: "v1", kind: "Namespace", namespace, name: namespace };
  return pod === undefined ? undefined : { apiVersion: "v1", kind: "Pod", ...pod };
}

/** As client-go's recorder writes it, which is what kubectl and other viewers expect. */
function eventOf({ reason, message }: ClusterWarning, involvedObject: InvolvedObject, at: Date): CoreV1Event {
  const { namespace, name } = involvedObject;
  const prefix = name.slice(0, MAX_NAME_PREFIX_LENGTH).replace(/[-.]+$/, "");
  // Events have whole seconds.
  const timestamp = new Date(Math.floor(at.getTime() / 1000) * 1000);
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { namespace, name: `${prefix}.${randomBytes(8).toString("hex")}` },
    involvedObject,
    type: "Warning",
    reason,
    message: message.slice(0, MAX_MESSAGE_LENGTH),
    source: { component: MANAGER },
    reportingComponent: MANAGER,
    firstTimestamp: timestamp,
    lastTimestamp: timestamp,
    count: 1,
  };
}

/** Remembers for a while what was added, in bounded memory. */
export interface TtlSet {
  /** Remembers the key from `nowMs` on; false if it is remembered already. */
  add(key: string, nowMs: number): boolean;
  forget(key: string): void;
}

interface TtlSetOptions {
  readonly ttlMs: number;
  /** The oldest goes where there are more. */
  readonly maxKeys: number;
}

export function createTtlSet({ ttlMs, maxKeys }: TtlSetOptions): TtlSet {
  /** In the order of the times. */
  const times = new Map<string, number>();
  return {
    add(key, nowMs) {
      const time = times.get(key);
      if (time !== undefined && nowMs - time < ttlMs) return false;
      times.delete(key);
      times.set(key, nowMs);
      const oldest = times.keys().next();
      if (times.size > maxKeys && oldest.done !== true) times.delete(oldest.value);
      return true;
    },
    forget(key) {
      times.delete(key);
    },
  };
}
