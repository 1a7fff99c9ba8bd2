/** What a reflector is given, and what it shows of itself. */
import type { JsonObject } from "../core/kubernetes.ts";
import type { BackOffLimits } from "./back-off.ts";
import type { KubeClient } from "./client.ts";
import type { Collection } from "./list-pages.ts";

/** What is kept of an object: as little as its user needs. Two objects have two keys. */
export interface Reflected<Fact> {
  readonly key: string;
  readonly fact: Fact;
}

export interface ReflectorListener<Fact> {
  /**
   * All there is, as of that resource version. What was known before and is not in it is gone. The map is the
   * listener's.
   */
  onRelist(facts: Map<string, Fact>, resourceVersion: string): void;
  /** Added or changed, perhaps to what was known already. */
  onChange(key: string, fact: Fact): void;
  /** Gone, or not selected any more; the fact is its last one. */
  onRemove(key: string, fact: Fact): void;
}

export type RestartReason = "closed" | "watchdog" | "expired" | "error";

export interface ReflectorTimings extends BackOffLimits {
  /** The API server ends a watch after this, and at most twice this. */
  readonly watchTimeoutMs: number;
  /** Bookmarks come about once a minute, mostly; nobody promises them. A watch that is begun anew costs little. */
  readonly watchdogMs: number;
  /** Everything is listed again after this, and at most a fifth later: for what no watch told us. */
  readonly relistIntervalMs: number;
}

export const DEFAULT_TIMINGS: ReflectorTimings = {
  watchTimeoutMs: 5 * 60_000,
  watchdogMs: 90_000,
  relistIntervalMs: 30 * 60_000,
  firstMs: 500,
  maxMs: 30_000,
};

export interface ReflectorOptions<Fact> {
  readonly client: KubeClient;
  readonly collection: Collection;
  /** Called once for every object, which then is forgotten. */
  readonly toFact: (object: JsonObject) => Reflected<Fact>;
  readonly listener: ReflectorListener<Fact>;
  readonly timings?: Partial<ReflectorTimings>;
  /** A fault of another kind than those since it last worked. The reflector goes on by itself. */
  readonly onFault?: (action: "list" | "watch", error: unknown) => void;
  /** It works again after a fault. */
  readonly onRecovery?: () => void;
  /** A watch ended and is followed by another, or by a list. */
  readonly onRestart?: (reason: RestartReason) => void;
}

export interface Reflector {
  /** The listener has been told of everything once. */
  readonly isSynced: boolean;
  /** Unix time, in milliseconds, of the last list, watch, event or bookmark; undefined before the first. */
  readonly lastActivityAt: number | undefined;
  /** The listener is not called again. */
  close(): void;
}
