/**
 * Knows what a collection holds for as long as it runs: lists it, watches it, and does not trust watches. client-node's
 * informer keeps whole objects, stops at most errors, and has no watchdog.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createBackOff, type BackOffLimits } from "../core/back-off.ts";
import { isObject, type JsonObject } from "../core/kubernetes.ts";
import { KubeApiError, KubeUnreachableError } from "./errors.ts";
import { listPages, type Collection } from "./list.ts";
import { readMetadata } from "./resources/metadata.ts";
import { createStore, type Store, type Versioned } from "../core/store.ts";
import type { StringPool } from "./string-pool.ts";
import type { Transport } from "./transport.ts";
import { watchOnce, type WatchEnd } from "./watch.ts";

export type RestartReason = "closed" | "watchdog" | "expired" | "error";

export interface InformerTimings extends BackOffLimits {
  /** The API server ends a watch after this, and at most twice this. */
  readonly watchTimeoutMs: number;
  /** Bookmarks mostly come about once a minute; nobody promises them. Starting a watch again costs little. */
  readonly watchdogMs: number;
  /** Everything is listed again after this, and at most a fifth later: for what no watch reported. */
  readonly relistIntervalMs: number;
}

export const DEFAULT_TIMINGS: InformerTimings = {
  watchTimeoutMs: 5 * 60_000,
  watchdogMs: 90_000,
  relistIntervalMs: 30 * 60_000,
  firstMs: 500,
  maxMs: 30_000,
};

export interface InformerOptions<T extends Versioned> {
  readonly transport: Pick<Transport, "list" | "watch">;
  readonly collection: Collection;
  /** What is kept of an object, as little as its users need. The object is forgotten. */
  readonly project: (object: JsonObject) => T;
  /** For the objects' names, where many have the same. */
  readonly pool?: StringPool;
  readonly timings?: Partial<InformerTimings>;
  /** A fault of another kind than those since it last worked. The informer goes on by itself. */
  readonly onFault?: (action: "list" | "watch", error: unknown) => void;
  /** It works again after a fault. */
  readonly onRecovery?: () => void;
  /** A watch ended and is followed by another, or by a list. */
  readonly onRestart?: (reason: RestartReason) => void;
}

/** `current` is undefined for an object that is gone or no longer selected, `previous` for one that is new. */
export type ChangeHandler<T> = (
  namespace: string,
  name: string,
  current: T | undefined,
  previous: T | undefined,
) => void;

export interface Informer<T extends Versioned> {
  /** Others may put in what they have written. */
  readonly store: Store<T>;
  /** The store has held everything once. */
  readonly isSynced: boolean;
  /** Resolves when `isSynced` becomes true. */
  readonly synced: Promise<void>;
  /** Resolves with the first list, or once the first one was refused. */
  readonly asked: Promise<void>;
  /** Unix time, in milliseconds, of the last list, watch, event or bookmark; before the first, of its creation. */
  readonly lastActivityAt: number;
  /** Calls the handler with every change from now on, after the store has it; not with what others put into the store. */
  subscribe(handler: ChangeHandler<T>): void;
  start(): void;
  /** No handler is called again. */
  close(): void;
}

/** A watch that ends sooner, and without an event, is a failure: it would be started again and again. */
const SHORTEST_WATCH_MS = 1_000;
const MAX_ASKED_WAIT_SECONDS = 60;

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
 * Waits become longer until something comes over a watch, and start over where a 410 follows a failed connection: the
 * API server is back, and remembers less than before. A handler that throws is treated as a refusal.
 */
export function createInformer<T extends Versioned>(options: InformerOptions<T>): Informer<T> {
  const { transport, collection, project, onFault, onRecovery, onRestart } = options;
  const timings = { ...DEFAULT_TIMINGS, ...options.timings };
  const pool = options.pool ?? ((name) => name);
  const store = createStore<T>();
  const handlers: ChangeHandler<T>[] = [];
  const synced = Promise.withResolvers<undefined>();
  const asked = Promise.withResolvers<undefined>();
  const backOff = createBackOff(timings);
  const closing = new AbortController();
  const faults = new Set<string>();
  const state = {
    /** From where to watch; undefined if there has to be a list first. */
    resourceVersion: undefined as string | undefined,
    /** By the clock of `performance`. */
    relistAt: 0,
    isSynced: false,
    lastActivityAt: Date.now(),
  };

  const isOpen = (): boolean => !closing.signal.aborted;
  const reportFault = (action: "list" | "watch", error: unknown): void => {
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

  const emit: ChangeHandler<T> = (...change) => {
    for (const handler of handlers) handler(...change);
  };
  function put(namespace: string, name: string, object: JsonObject): void {
    const previous = store.get(namespace, name);
    const current = project(object);
    if (store.set(namespace, name, current)) emit(namespace, name, current, previous);
  }
  function remove(namespace: string, name: string, version: number): void {
    const previous = store.remove(namespace, name, version);
    if (previous !== undefined) emit(namespace, name, undefined, previous);
  }

  /** Puts in each object as it comes, and at the end takes out what is gone. */
  async function list(): Promise<void> {
    const seen = new Set<string>();
    try {
      const version = await listPages(
        transport,
        collection,
        (object) => {
          if (!isOpen()) return;
          const { namespace, name } = readMetadata(object);
          seen.add(`${namespace}/${name}`);
          put(namespace, pool(name), object);
        },
        markActive,
      );
      if (!isOpen()) return;
      for (const namespace of [...store.namespaces()]) {
        for (const name of [...store.in(namespace).keys()]) {
          // What was written after the list was made is newer than the list.
          if (!seen.has(`${namespace}/${name}`)) remove(namespace, name, Number(version));
        }
      }
      state.resourceVersion = version;
      state.isSynced = true;
      state.relistAt = performance.now() + timings.relistIntervalMs * (1 + Math.random() / 5);
      synced.resolve(undefined);
    } catch (error) {
      if (!isOpen()) return;
      if (!(error instanceof KubeApiError && error.status === 410)) reportFault("list", error);
      // While a list fails, a watch may go on.
      state.relistAt = performance.now() + timings.maxMs;
    }
    asked.resolve(undefined);
  }

  /** How it ended, and whether it was worth anything. */
  async function watch(from: string): Promise<{ readonly end: WatchEnd; readonly wasUseful: boolean }> {
    const startedAt = performance.now();
    const toRelistMs = state.relistAt - startedAt;
    const timeoutMs = Math.min(timings.watchTimeoutMs * (1 + Math.random()), toRelistMs);
    let hasProgress = false as boolean;
    const end = await watchOnce({
      transport,
      collection,
      resourceVersion: from,
      timeoutSeconds: Math.max(1, Math.ceil(timeoutMs / 1000)),
      watchdogMs: timings.watchdogMs,
      signal: closing.signal,
      onOpen: markActive,
      onChange(type, object) {
        const { namespace, name, version } = readMetadata(object);
        if (type === "DELETED") remove(namespace, name, version);
        else put(namespace, pool(name), object);
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
      if (end.kind === "refused" || end.kind === "broken") reportFault("watch", end.error);
      if (isVersionInDoubt(end)) state.resourceVersion = undefined;
      if (wasAway && end.kind === "expired") backOff.reset();
      wasAway = end.kind === "broken";
      if (end.kind === "closed" && wasUseful) markHealthy();
      else if (end.kind !== "watchdog") await wait(askedWaitMs(end));
    }
  }

  const wait = (atLeastMs = 0): Promise<void> =>
    sleep(Math.max(atLeastMs, backOff.next()), undefined, { signal: closing.signal }).catch(() => undefined);

  return {
    store,
    synced: synced.promise,
    asked: asked.promise,
    get isSynced() {
      return state.isSynced;
    },
    get lastActivityAt() {
      return state.lastActivityAt;
    },
    subscribe(handler) {
      handlers.push(handler);
    },
    start() {
      void run();
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
