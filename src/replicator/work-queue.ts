/** A queue of keys that are handled until they succeed. */
import { longestWait } from "../core/back-off.ts";
import type { Priority } from "./ports.ts";

export interface WorkQueueOptions {
  /** Reconciles what the key names. If it throws, the key is retried. */
  readonly handle: (key: string, priority: Priority) => Promise<void>;
  /** How many keys of each priority are handled at once. */
  readonly concurrency: number;
  /** Called with each failure and the time until the retry. */
  readonly onFailure: (key: string, error: unknown, retryInMs: number) => void;
  /** A number from 0 up to 1, for the jitter. */
  readonly random: () => number;
}

const RETRIES = { firstMs: 250, maxMs: 5 * 60_000 };

export interface WorkQueue {
  /**
   * A key that waits already keeps its place, unless its priority rises from low to high. A key that is being handled is
   * handled again afterwards.
   */
  readonly add: (key: string, priority: Priority) => void;
  /** Adds the key with low priority after the delay, unless it is added earlier. */
  addLater(key: string, delayMs: number): void;
  /** Whether the key waits or is being handled. False while it waits for a retry. */
  has(key: string): boolean;
  /** Whether a key that is being handled was added again meanwhile. */
  isHandledAgain(key: string): boolean;
  /** Starts nothing new; what was started continues. */
  pause(): void;
  resume(): void;
  /** Resolves as soon as no key is being handled. */
  idle(): Promise<void>;
  /** Forgets all keys whose handling has not started. */
  clear(): void;
  /** The number of keys that wait or are being handled, without those that wait for a retry. */
  readonly depth: number;
}

/**
 * Each key is in the queue once and is handled by one worker at a time, as in client-go's workqueue. Keys of high priority
 * have their own workers, so that they do not wait for a rotation that touches all namespaces.
 */
export function createWorkQueue({ handle, concurrency, onFailure, random }: WorkQueueOptions): WorkQueue {
  // A Set keeps the order of insertion and can remove a key from the middle.
  const waiting: Record<Priority, Set<string>> = { high: new Set(), low: new Set() };
  const running: Record<Priority, number> = { high: 0, low: 0 };
  const active = new Map<string, Priority | undefined>();
  const delayed = new Map<string, NodeJS.Timeout>();
  const failures = new Map<string, number>();
  let idle: PromiseWithResolvers<undefined> | undefined;
  let isPaused = true;

  const add = (key: string, priority: Priority): void => {
    cancelDelay(key);
    if (active.has(key)) {
      // It may have read an older state: it is handled once more, with the higher of the two priorities.
      active.set(key, active.get(key) === "high" ? "high" : priority);
      return;
    }
    if (waiting.high.has(key)) return;
    if (priority === "high") waiting.low.delete(key);
    waiting[priority].add(key);
    startWork();
  };

  const addLater = (key: string, delayMs: number): void => {
    cancelDelay(key);
    const timer = setTimeout(() => {
      add(key, "low");
    }, delayMs);
    delayed.set(key, timer.unref());
  };

  const cancelDelay = (key: string): void => {
    clearTimeout(delayed.get(key));
    delayed.delete(key);
  };

  const startWork = (): void => {
    for (const priority of ["high", "low"] as const) {
      while (!isPaused && running[priority] < concurrency) {
        const [key] = waiting[priority];
        if (key === undefined) break;
        waiting[priority].delete(key);
        void work(key, priority);
      }
    }
  };

  const work = async (key: string, priority: Priority): Promise<void> => {
    running[priority]++;
    active.set(key, undefined);
    let retryInMs: number | undefined;
    try {
      await handle(key, priority);
      failures.delete(key);
    } catch (error) {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      // Half to all of it, so that keys that failed together are not retried together.
      retryInMs = longestWait(count, RETRIES) * (0.5 + random() / 2);
      onFailure(key, error, retryInMs);
    }
    const again = active.get(key);
    active.delete(key);
    running[priority]--;
    if (retryInMs !== undefined) addLater(key, retryInMs);
    else if (again !== undefined) add(key, again);
    startWork();
    if (active.size > 0) return;
    idle?.resolve(undefined);
    idle = undefined;
  };

  return {
    add,
    addLater,
    isHandledAgain: (key) => active.get(key) !== undefined,
    has: (key) => active.has(key) || waiting.high.has(key) || waiting.low.has(key),
    pause() {
      isPaused = true;
    },
    resume() {
      isPaused = false;
      startWork();
    },
    async idle() {
      if (active.size === 0) return;
      idle ??= Promise.withResolvers<undefined>();
      await idle.promise;
    },
    clear() {
      for (const key of [...delayed.keys()]) cancelDelay(key);
      waiting.high.clear();
      waiting.low.clear();
      failures.clear();
    },
    get depth() {
      return waiting.high.size + waiting.low.size + active.size;
    },
  };
}
