/** Knows what a collection holds, for as long as it runs: lists it, watches it, and does not believe in watches. */
import { setTimeout as sleep } from "node:timers/promises";
import { isObject, type JsonObject } from "../core/kubernetes.ts";
import { createBackOff } from "./back-off.ts";
import { KubeApiError, KubeUnreachableError } from "./client.ts";
import { listPages } from "./list-pages.ts";
import { DEFAULT_TIMINGS, type Reflector, type ReflectorOptions } from "./reflector.ts";
import { watchOnce, type WatchEnd } from "./watch-once.ts";

/** A watch that ends sooner, and without an event, is a failure: it would be started again and again. */
const SHORTEST_WATCH_MS = 1_000;
const MAX_ASKED_WAIT_SECONDS = 60;

interface State {
  /** From where to watch; undefined if there has to be a list first. */
  resourceVersion: string | undefined;
  /** By the clock of `performance`. */
  relistAt: number;
  isSynced: boolean;
  lastActivityAt: number | undefined;
}

/**
 * | the watch ended                           | next                                                          |
 * | ----------------------------------------- | ------------------------------------------------------------- |
 * | after a while, as asked                   | a watch from the last resource version, at once               |
 * | at once, without an event                 | the same, after a wait                                        |
 * | by the watchdog                           | the same, at once                                             |
 * | because the connection failed or broke    | the same, after a wait                                        |
 * | refused with 429 or 503: too much to do   | the same, after a wait                                        |
 * | refused with 410, also in an ERROR event  | a list, after a wait                                          |
 * | refused otherwise, also in an ERROR event | a list, after a wait                                          |
 *
 * Waits become longer until something comes over a watch, and begin anew where a 410 follows a failed connection: the
 * API server is back, and remembers less than before. A listener that throws is treated as a refusal.
 */
export function startReflector<Fact>(options: ReflectorOptions<Fact>): Reflector {
  const { client, collection, toFact, listener, onFault, onRecovery, onRestart } = options;
  const timings = { ...DEFAULT_TIMINGS, ...options.timings };
  const backOff = createBackOff(timings);
  const closing = new AbortController();
  const faults = new Set<string>();
  const state: State = {
    resourceVersion: undefined,
    relistAt: 0,
    isSynced: false,
    lastActivityAt: undefined,
  };

  const isOpen = (): boolean => !closing.signal.aborted;
  const tellFault = (action: "list" | "watch", error: unknown): void => {
    const kind = `${action} ${error instanceof KubeApiError ? error.status.toString() : String(error)}`;
    if (faults.has(kind)) return;
    faults.add(kind);
    onFault?.(action, error);
  };
  const markHealthy = (): void => {
    backOff.reset();
    if (faults.size === 0) return;
    faults.clear();
    onRecovery?.();
  };
  const markActive = (): void => {
    state.lastActivityAt = Date.now();
  };

  async function list(): Promise<void> {
    const facts = new Map<string, Fact>();
    const add = (object: JsonObject): void => {
      const { key, fact } = toFact(object);
      facts.set(key, fact);
    };
    try {
      const version = await listPages(client, collection, add, markActive);
      if (!isOpen()) return;
      listener.onRelist(facts, version);
      state.resourceVersion = version;
      state.isSynced = true;
      state.relistAt = performance.now() + timings.relistIntervalMs * (1 + Math.random() / 5);
    } catch (error) {
      if (!isOpen()) return;
      if (!(error instanceof KubeApiError && error.status === 410)) tellFault("list", error);
      // While a list fails, a watch may go on.
      state.relistAt = performance.now() + timings.maxMs;
    }
  }

  /** How it ended, and whether it was worth anything. */
  async function watch(from: string): Promise<{ readonly end: WatchEnd; readonly wasUseful: boolean }> {
    const startedAt = performance.now();
    const toRelistMs = state.relistAt - startedAt;
    const timeoutMs = Math.min(timings.watchTimeoutMs * (1 + Math.random()), toRelistMs);
    let hasProgress = false as boolean;
    const end = await watchOnce({
      client,
      collection,
      resourceVersion: from,
      timeoutSeconds: Math.max(1, Math.ceil(timeoutMs / 1000)),
      watchdogMs: timings.watchdogMs,
      signal: closing.signal,
      onOpen: markActive,
      onChange(type, object) {
        const { key, fact } = toFact(object);
        if (type === "DELETED") listener.onRemove(key, fact);
        else listener.onChange(key, fact);
      },
      onProgress(version) {
        state.resourceVersion = version ?? state.resourceVersion;
        hasProgress = true;
        markActive();
        markHealthy();
      },
    });
    return { end, wasUseful: hasProgress || performance.now() - startedAt >= SHORTEST_WATCH_MS };
  }

  async function run(): Promise<void> {
    let wasAway = false;
    while (isOpen()) {
      if (state.resourceVersion === undefined || performance.now() >= state.relistAt) await list();
      const from = state.resourceVersion;
      if (from === undefined) {
        await wait();
        continue;
      }
      const { end, wasUseful } = await watch(from);
      if (!isOpen()) return;
      onRestart?.(end.kind === "refused" || end.kind === "broken" ? "error" : end.kind);
      if (end.kind === "refused" || end.kind === "broken") tellFault("watch", end.error);
      if (isVersionInDoubt(end)) state.resourceVersion = undefined;
      if (wasAway && end.kind === "expired") backOff.reset();
      wasAway = end.kind === "broken";
      if (end.kind === "closed" && wasUseful) markHealthy();
      else if (end.kind !== "watchdog") await wait(askedWaitMs(end));
    }
  }

  const wait = (atLeastMs = 0): Promise<void> =>
    sleep(Math.max(atLeastMs, backOff.next()), undefined, { signal: closing.signal }).catch(() => undefined);

  void run();
  return {
    get isSynced() {
      return state.isSynced;
    },
    get lastActivityAt() {
      return state.lastActivityAt;
    },
    close() {
      closing.abort();
    },
  };
}

/** Whether the next watch cannot start where this one ended, as far as anybody knows. */
function isVersionInDoubt(end: WatchEnd): boolean {
  if (end.kind === "refused") return end.error.status !== 429 && end.error.status !== 503;
  return end.kind === "expired" || (end.kind === "broken" && !(end.error instanceof KubeUnreachableError));
}

/** What a Status asks for, as `Retry-After` does; nothing that would put us to sleep for long. */
function askedWaitMs(end: WatchEnd): number {
  const details = end.kind === "refused" ? end.error.body["details"] : undefined;
  const seconds = isObject(details) ? details["retryAfterSeconds"] : undefined;
  return typeof seconds === "number" ? Math.min(seconds, MAX_ASKED_WAIT_SECONDS) * 1000 : 0;
}
