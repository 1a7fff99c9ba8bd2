/** A queue of keys that are handled until they succeed. */
import { longestWait } from "../core/back-off.ts";
import type { Priority } from "./ports.ts";

export interface WorkQueueOptions {
  /** Reconciles what the key names. If it throws, the key is retried. */
  readonly handle: (key: string, priority: Priority) => Promise<void>;
  /** How many keys of each priority are handled at once. */
  readonly concurrency: number;
  /** Called with each failure that is retried, and the time until then. */
  readonly onFailure: (key: string, error: unknown, retryInMs: number) => void;
  /** A number from 0 up to 1, for the jitter. */
  readonly random: () => number;
}

/** A key that is being handled. */
interface ActiveKey {
  /** The priority with which it was added again meanwhile. */
  again: Priority | undefined;
  /** The queue was cleared meanwhile. */
  isForgotten: boolean;
}

const RETRIES = { firstMs: 250, maxMs: 5 * 60_000 };

/**
 * Each key is in the queue once and is handled by one worker at a time, as in client-go's workqueue. Keys of high priority
 * have their own workers, so that they do not wait for a rotation that touches all namespaces.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  // A Set keeps the order of insertion and can remove a key from the middle.
  readonly #waiting: Record<Priority, Set<string>> = { high: new Set(), low: new Set() };
  readonly #running: Record<Priority, number> = { high: 0, low: 0 };
  readonly #active = new Map<string, ActiveKey>();
  readonly #delayed = new Map<string, { readonly priority: Priority; readonly timer: NodeJS.Timeout }>();
  readonly #failures = new Map<string, number>();
  #idle: PromiseWithResolvers<undefined> | undefined;
  #isPaused = true;

  /** It is paused at first. */
  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /**
   * A key that waits already keeps its place, unless its priority rises from low to high. A key that is being handled is
   * handled again afterwards. One that waits for a retry keeps its priority, if that is the higher one.
   */
  add(key: string, priority: Priority): void {
    const highest = higherOf(priority, this.#delayed.get(key)?.priority);
    this.#cancelDelay(key);
    const active = this.#active.get(key);
    if (active !== undefined) {
      // It may have read an older state: it is handled once more, with the higher of the two priorities.
      active.again = higherOf(highest, active.again);
      return;
    }
    if (this.#waiting.high.has(key)) return;
    if (highest === "high") this.#waiting.low.delete(key);
    this.#waiting[highest].add(key);
    this.#startWork();
  }

  /** Adds the key after the delay, unless it is added earlier. */
  addLater(key: string, delayMs: number, priority: Priority = "low"): void {
    this.#cancelDelay(key);
    const timer = setTimeout(() => {
      this.add(key, priority);
    }, delayMs);
    this.#delayed.set(key, { priority, timer: timer.unref() });
  }

  /** Whether the key waits or is being handled. False while it waits for a retry. */
  has(key: string): boolean {
    return this.#active.has(key) || this.#waiting.high.has(key) || this.#waiting.low.has(key);
  }

  /** Whether a key that is being handled was added again meanwhile. */
  isHandledAgain(key: string): boolean {
    return this.#active.get(key)?.again !== undefined;
  }

  /** Starts nothing new; what was started continues. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#startWork();
  }

  /** Resolves as soon as no key is being handled. */
  async idle(): Promise<void> {
    if (this.#active.size === 0) return;
    this.#idle ??= Promise.withResolvers<undefined>();
    await this.#idle.promise;
  }

  /** Forgets all keys. Those that are being handled are neither retried nor handled again, unless they are added after this. */
  clear(): void {
    for (const active of this.#active.values()) {
      active.again = undefined;
      active.isForgotten = true;
    }
    for (const key of [...this.#delayed.keys()]) this.#cancelDelay(key);
    this.#waiting.high.clear();
    this.#waiting.low.clear();
    this.#failures.clear();
  }

  /** The number of keys that wait or are being handled, without those that wait for a retry. */
  get depth(): number {
    return this.#waiting.high.size + this.#waiting.low.size + this.#active.size;
  }

  #cancelDelay(key: string): void {
    clearTimeout(this.#delayed.get(key)?.timer);
    this.#delayed.delete(key);
  }

  #startWork(): void {
    for (const priority of ["high", "low"] as const) {
      while (!this.#isPaused && this.#running[priority] < this.#options.concurrency) {
        const [key] = this.#waiting[priority];
        if (key === undefined) break;
        this.#waiting[priority].delete(key);
        void this.#work(key, priority);
      }
    }
  }

  async #work(key: string, priority: Priority): Promise<void> {
    this.#running[priority]++;
    const active: ActiveKey = { again: undefined, isForgotten: false };
    this.#active.set(key, active);
    const retryInMs = await this.#handle(key, priority, active);
    const { again } = active;
    this.#active.delete(key);
    this.#running[priority]--;
    if (retryInMs !== undefined) this.addLater(key, retryInMs, higherOf(priority, again));
    else if (again !== undefined) this.add(key, again);
    this.#startWork();
    if (this.#active.size > 0) return;
    this.#idle?.resolve(undefined);
    this.#idle = undefined;
  }

  /** The time until the retry, or undefined if there is nothing to retry. */
  async #handle(key: string, priority: Priority, active: Readonly<ActiveKey>): Promise<number | undefined> {
    const { handle, onFailure, random } = this.#options;
    try {
      await handle(key, priority);
      this.#failures.delete(key);
      return undefined;
    } catch (error) {
      if (active.isForgotten) return undefined;
      const count = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, count);
      // Half to all of it, so that keys that failed together are not retried together.
      const retryInMs = longestWait(count, RETRIES) * (0.5 + random() / 2);
      onFailure(key, error, retryInMs);
      return retryInMs;
    }
  }
}

function higherOf(one: Priority, other: Priority | undefined): Priority {
  return other === "high" ? other : one;
}
