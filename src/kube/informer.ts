/**
 * Knows what a collection holds for as long as it runs: lists it, watches it, and does not trust watches. client-node's
 * informer keeps whole objects, stops at most errors, and has no watchdog.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createBackOff, type BackOff, type BackOffLimits } from "../core/back-off.ts";
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
export class Informer<T extends Versioned> {
  /** Others may put in what they have written. */
  readonly store: Store<T> = createStore<T>();
  readonly #options: InformerOptions<T>;
  readonly #timings: InformerTimings;
  readonly #pool: StringPool;
  readonly #backOff: BackOff;
  readonly #handlers: ChangeHandler<T>[] = [];
  readonly #synced = Promise.withResolvers<undefined>();
  readonly #asked = Promise.withResolvers<undefined>();
  readonly #closing = new AbortController();
  readonly #faults = new Set<string>();
  /** From where to watch; undefined if there has to be a list first. */
  #resourceVersion: string | undefined;
  /** By the clock of `performance`. */
  #relistAt = 0;
  #isSynced = false;
  #lastActivityAt = Date.now();

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#timings = { ...DEFAULT_TIMINGS, ...options.timings };
    this.#pool = options.pool ?? ((name) => name);
    this.#backOff = createBackOff(this.#timings);
  }

  /** The store has held everything once. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Resolves when `isSynced` becomes true. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** Resolves with the first list, or once the first one was refused. */
  get asked(): Promise<void> {
    return this.#asked.promise;
  }

  /** Unix time, in milliseconds, of the last list, watch, event or bookmark; before the first, of its creation. */
  get lastActivityAt(): number {
    return this.#lastActivityAt;
  }

  /** Calls the handler with every change from now on, after the store has it; not with what others put into the store. */
  subscribe(handler: ChangeHandler<T>): void {
    this.#handlers.push(handler);
  }

  start(): void {
    void this.#run();
  }

  /** No handler is called again. */
  close(): void {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    let wasAway = false;
    while (this.#isOpen()) {
      if (this.#resourceVersion === undefined || performance.now() >= this.#relistAt) await this.#list();
      const from = this.#resourceVersion;
      if (from === undefined) {
        await this.#wait();
        continue;
      }
      const { end, wasUseful } = await this.#watch(from);
      if (!this.#isOpen()) return;
      this.#options.onRestart?.(end.kind === "refused" || end.kind === "broken" ? "error" : end.kind);
      if (end.kind === "refused" || end.kind === "broken") this.#reportFault("watch", end.error);
      if (isVersionInDoubt(end)) this.#resourceVersion = undefined;
      if (wasAway && end.kind === "expired") this.#backOff.reset();
      wasAway = end.kind === "broken";
      if (end.kind === "closed" && wasUseful) this.#markHealthy();
      else if (end.kind !== "watchdog") await this.#wait(askedWaitMs(end));
    }
  }

  /** Puts in each object as it comes, and at the end takes out what is gone. */
  async #list(): Promise<void> {
    const { transport, collection } = this.#options;
    const { relistIntervalMs, maxMs } = this.#timings;
    const seen = new Set<string>();
    const put = (object: JsonObject): void => {
      if (!this.#isOpen()) return;
      const { namespace, name } = readMetadata(object);
      seen.add(`${namespace}/${name}`);
      this.#put(namespace, this.#pool(name), object);
    };
    try {
      const version = await listPages(transport, collection, put, this.#markActive);
      if (!this.#isOpen()) return;
      this.#removeUnseen(seen, Number(version));
      this.#resourceVersion = version;
      this.#isSynced = true;
      this.#relistAt = performance.now() + relistIntervalMs * (1 + Math.random() / 5);
      this.#synced.resolve(undefined);
    } catch (error) {
      if (!this.#isOpen()) return;
      if (!(error instanceof KubeApiError && error.status === 410)) this.#reportFault("list", error);
      // While a list fails, a watch may go on.
      this.#relistAt = performance.now() + maxMs;
    }
    this.#asked.resolve(undefined);
  }

  #removeUnseen(seen: ReadonlySet<string>, version: number): void {
    for (const namespace of [...this.store.namespaces()]) {
      for (const name of [...this.store.in(namespace).keys()]) {
        // What was written after the list was made is newer than the list.
        if (!seen.has(`${namespace}/${name}`)) this.#remove(namespace, name, version);
      }
    }
  }

  /** How it ended, and whether it was worth anything. */
  async #watch(from: string): Promise<{ readonly end: WatchEnd; readonly wasUseful: boolean }> {
    const { transport, collection } = this.#options;
    const { watchTimeoutMs, watchdogMs } = this.#timings;
    const startedAt = performance.now();
    const toRelistMs = this.#relistAt - startedAt;
    const timeoutMs = Math.min(watchTimeoutMs * (1 + Math.random()), toRelistMs);
    let hasProgress = false as boolean;
    const end = await watchOnce({
      transport,
      collection,
      resourceVersion: from,
      timeoutSeconds: Math.max(1, Math.ceil(timeoutMs / 1000)),
      watchdogMs,
      signal: this.#closing.signal,
      onOpen: this.#markActive,
      onChange: (type, object) => {
        const { namespace, name, version } = readMetadata(object);
        if (type === "DELETED") this.#remove(namespace, name, version);
        else this.#put(namespace, this.#pool(name), object);
      },
      onProgress: (version) => {
        this.#resourceVersion = version ?? this.#resourceVersion;
        hasProgress = true;
        this.#markActive();
        this.#markHealthy();
      },
    });
    return { end, wasUseful: hasProgress || performance.now() - startedAt >= SHORTEST_WATCH_MS };
  }

  #put(namespace: string, name: string, object: JsonObject): void {
    const previous = this.store.get(namespace, name);
    const current = this.#options.project(object);
    if (this.store.set(namespace, name, current)) this.#emit(namespace, name, current, previous);
  }

  #remove(namespace: string, name: string, version: number): void {
    const previous = this.store.remove(namespace, name, version);
    if (previous !== undefined) this.#emit(namespace, name, undefined, previous);
  }

  #emit(...change: Parameters<ChangeHandler<T>>): void {
    for (const handler of this.#handlers) handler(...change);
  }

  #isOpen(): boolean {
    return !this.#closing.signal.aborted;
  }

  readonly #markActive = (): void => {
    this.#lastActivityAt = Date.now();
  };

  #markHealthy(): void {
    this.#backOff.reset();
    if (this.#faults.size === 0) return;
    this.#faults.clear();
    this.#options.onRecovery?.();
  }

  #reportFault(action: "list" | "watch", error: unknown): void {
    const kind = `${action} ${error instanceof KubeApiError ? error.status.toString() : String(error)}`;
    if (this.#faults.has(kind)) return;
    this.#faults.add(kind);
    this.#options.onFault?.(action, error);
  }

  #wait(atLeastMs = 0): Promise<void> {
    const { signal } = this.#closing;
    return sleep(Math.max(atLeastMs, this.#backOff.next()), undefined, { signal }).catch(() => undefined);
  }
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
