/** A queue of keys that are worked on until they succeed. */
import type { Priority } from "./ports.ts";

export interface WorkQueueOptions {
  /** Brings what the key stands for in order; throwing means that it has to be tried again. */
  readonly handle: (key: string, priority: Priority) => Promise<void>;
  /** How many keys of each priority are worked on at once. */
  readonly concurrency: number;
  /** Told of each failure and of when the key comes again. */
  readonly onFailure: (key: string, error: unknown, retryInMs: number) => void;
  /** A number from 0 up to 1, for the jitter. */
  readonly random: () => number;
}

/** The first failure waits for up to this time, each further one for up to twice as long. */
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5 * 60_000;

export interface WorkQueue {
  /** A key that waits already stays where it is, but for one that becomes high. One that is being worked on comes again. */
  readonly add: (key: string, priority: Priority) => void;
  /** Adds the key with low priority after some time, unless it is added before. */
  addLater(key: string, delayMs: number): void;
  /** Whether the key waits, or is being worked on; not while it waits for a retry. */
  has(key: string): boolean;
  /** Whether a key that is being worked on was added meanwhile. */
  comesAgain(key: string): boolean;
  /** Nothing is begun after a pause; what was begun goes on. */
  pause(): void;
  resume(): void;
  /** Resolves as soon as no key is being worked on. */
  idle(): Promise<void>;
  /** Forgets everything that has not begun. */
  clear(): void;
  /** Keys that wait or are being worked on; those that wait for a retry are not among them. */
  readonly depth: number;
}

/**
 * Each key stands in the queue once and is worked on by one worker at a time, as in client-go's workqueue. Urgent keys
 * have workers of their own, so that they do not wait for a rotation that goes through all namespaces.
 */
export function createWorkQueue({ handle, concurrency, onFailure, random }: WorkQueueOptions): WorkQueue {
  // A Map keeps the order in which keys came, and finds one to take it out.
  const waiting: Record<Priority, Set<string>> = { high: new Set(), low: new Set() };
  const running: Record<Priority, number> = { high: 0, low: 0 };
  const active = new Map<string, Priority | undefined>();
  const delayed = new Map<string, NodeJS.Timeout>();
  const failures = new Map<string, number>();
  const idlers: (() => void)[] = [];
  let isPaused = true;

  const add = (key: string, priority: Priority): void => {
    cancelDelay(key);
    if (active.has(key)) {
      // It may have read what has changed since: it runs once more, in the more high of both queues.
      active.set(key, active.get(key) === "high" ? "high" : priority);
      return;
    }
    if (waiting.high.has(key)) return;
    if (priority === "high") waiting.low.delete(key);
    waiting[priority].add(key);
    begin();
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

  const begin = (): void => {
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
      retryInMs = retryDelay(count, random());
      onFailure(key, error, retryInMs);
    }
    const again = active.get(key);
    active.delete(key);
    running[priority]--;
    if (retryInMs !== undefined) addLater(key, retryInMs);
    else if (again !== undefined) add(key, again);
    begin();
    if (active.size === 0) for (const onIdle of idlers.splice(0)) onIdle();
  };

  return {
    add,
    addLater,
    comesAgain: (key) => active.get(key) !== undefined,
    has: (key) => active.has(key) || waiting.high.has(key) || waiting.low.has(key),
    pause() {
      isPaused = true;
    },
    resume() {
      isPaused = false;
      begin();
    },
    idle() {
      return active.size === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve));
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

/** Between half of the doubled time and all of it, so that keys that failed together do not come back together. */
function retryDelay(failureCount: number, random: number): number {
  const ceiling = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failureCount - 1));
  return ceiling * (0.5 + random / 2);
}
