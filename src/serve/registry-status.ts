/** Writes the status of ClusterRegistries: the leader alone, and only what changed. */
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { REGISTRY_API } from "../config/registry-crd.ts";
import { readRegistryStatus } from "../config/status-schema.ts";
import { messageOf } from "../core/error-message.ts";
import {
  formatTime,
  registryStatus,
  type CopyCounts,
  type RegistryFacts,
  type RegistryStatus,
} from "../core/registry-status.ts";
import type { ApisFor } from "../kube/api.ts";
import { writeRegistryStatus, type ClusterRegistry } from "../kube/resources/cluster-registries.ts";
import { RegistryFactsReader, type RegistryFactsOptions } from "./registry-facts.ts";
import type { RegistryObjects } from "./registry-objects.ts";

export interface RegistryStatusOptions extends Omit<RegistryFactsOptions, "retryMs" | "schedule"> {
  /** Its writes are sent only while this replica leads. */
  readonly apisFor: ApisFor;
  readonly objects: Pick<RegistryObjects, "list" | "put" | "missingFields" | "offeredSecret">;
  readonly countCopies: () => Promise<ReadonlyMap<string, CopyCounts>>;
  readonly logger: Logger;
  readonly timings?: Partial<StatusTimings>;
}

export interface StatusTimings {
  /** From a change to its status, so that several changes make one. */
  readonly delayMs: number;
  /**
   * The least and the longest time between two writes to one object that differ in nothing but counts. It doubles while they come
   * one after the other: 10,000 namespaces that are filled in five minutes are ten writes.
   */
  readonly minCountsIntervalMs: number;
  readonly maxCountsIntervalMs: number;
  /** After a failure, and between two looks at a Secret that is not offered. */
  readonly retryMs: number;
}

const DEFAULT_TIMINGS: StatusTimings = {
  ...{ delayMs: 200, minCountsIntervalMs: 1_000, maxCountsIntervalMs: 60_000 },
  retryMs: 5_000,
};
/** Of the time: counting copies of 10,000 namespaces takes 50 ms. */
const MAX_SHARE_OF_COUNTING = 0.1;

export class RegistryStatusWriter {
  readonly #options: RegistryStatusOptions;
  readonly #timings: StatusTimings;
  readonly #facts: RegistryFactsReader;
  /** By uid: the last write, and when the next one may come that is about counts alone. */
  readonly #writes = new Map<string, { readonly at: number; readonly intervalMs: number }>();
  #leading: AbortSignal | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Infinity;
  #notBefore = 0;
  #isRunning = false;

  constructor(options: RegistryStatusOptions) {
    this.#options = options;
    this.#timings = { ...DEFAULT_TIMINGS, ...options.timings };
    this.#facts = new RegistryFactsReader({
      ...options,
      retryMs: this.#timings.retryMs,
      schedule: (delayMs) => {
        this.schedule(delayMs);
      },
    });
  }

  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void {
    this.#leading = signal;
    this.schedule();
  }

  /** Something that a status says may be different. The soonest of all that were asked for counts. */
  schedule(delayMs = this.#timings.delayMs): void {
    const at = Math.max(Date.now() + delayMs, this.#notBefore);
    if (this.#leading === undefined || this.#leading.aborted || at >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => void this.#run(), Math.max(at - Date.now(), 0)).unref();
  }

  async #run(): Promise<void> {
    this.#dueAt = Infinity;
    if (this.#leading === undefined || this.#leading.aborted) return;
    if (this.#isRunning) {
      this.schedule();
      return;
    }
    this.#isRunning = true;
    try {
      await this.#writeAll(this.#leading);
    } catch (error) {
      const { logger } = this.#options;
      logger.warn({ error: messageOf(error) }, "failed to write the status of a ClusterRegistry; retrying");
      this.schedule(this.#timings.retryMs);
    } finally {
      this.#isRunning = false;
    }
  }

  async #writeAll(signal: AbortSignal): Promise<void> {
    const { objects, countCopies } = this.#options;
    const list = objects.list();
    if (list.length === 0) return;
    const startedAt = performance.now();
    const counts = await countCopies();
    this.#notBefore = Date.now() + (performance.now() - startedAt) / MAX_SHARE_OF_COUNTING;
    const uids = new Set(list.map(({ uid }) => uid));
    for (const uid of this.#writes.keys()) if (!uids.has(uid)) this.#writes.delete(uid);
    this.#facts.forgetOthers(uids);
    for (const object of list) {
      if (signal.aborted) return;
      await this.#write(object, await this.#facts.read(object, counts));
    }
  }

  async #write(object: ClusterRegistry, facts: RegistryFacts): Promise<void> {
    const { apisFor, objects } = this.#options;
    const { minCountsIntervalMs, maxCountsIntervalMs } = this.#timings;
    const now = Date.now();
    const previous = readRegistryStatus(object.status);
    const next = registryStatus(facts, previous, formatTime(now));
    if (isDeepStrictEqual(next, object.status)) return;
    const last = this.#writes.get(object.uid);
    const { at, intervalMs } = last ?? { at: -Infinity, intervalMs: minCountsIntervalMs };
    const isAboutCounts =
      previous !== undefined && isDeepStrictEqual(withoutCounts(next), withoutCounts(previous));
    if (isAboutCounts && now < at + intervalMs) {
      this.schedule(at + intervalMs - now);
      return;
    }
    const result = await writeRegistryStatus(apisFor, REGISTRY_API, object, next);
    if (result.kind !== "written") return;
    const isOneOfMany = isAboutCounts && now < at + 2 * intervalMs;
    const doubled = Math.min(2 * intervalMs, maxCountsIntervalMs);
    this.#writes.set(object.uid, { at: now, intervalMs: isOneOfMany ? doubled : minCountsIntervalMs });
    objects.put(result.object);
  }
}

/** What is to be seen at once: not the numbers, which are in messages, too. */
function withoutCounts({ namespaces: _, conditions = [], ...rest }: Partial<RegistryStatus>): unknown {
  return { ...rest, conditions: conditions.map(({ message: _message, ...condition }) => condition) };
}
