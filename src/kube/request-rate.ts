/** How many requests go to the API server, and which go first. */
import type { Priority } from "../replicator/ports.ts";

export interface RequestRateOptions {
  /** Without it, only `concurrency` bounds the requests, and the API server's priority and fairness. */
  readonly limit?: RateLimit;
  /** As many may be unanswered, and half as many if all are of low priority. Without it, those that wait for a connection would go first come, first served. */
  readonly concurrency: number;
}

export interface RateLimit {
  /** Requests per second, over time. */
  readonly perSecond: number;
  /** As many may go at once after a quiet time, half of them if all are of low priority. */
  readonly burst: number;
}

export class RequestRateClosedError extends Error {
  override readonly name = "RequestRateClosedError";
}

type Waiter = PromiseWithResolvers<() => void>;

/** What sums of fractions are off by; without it every wait would be a millisecond longer, the shortest there is. */
const CLOCK_ERROR_MS = 1e-3;

/**
 * What low priority leaves to high priority, of the burst and of the requests that may be unanswered: during a rotation,
 * which takes all that it may, a few new namespaces at once still have their copies at once.
 */
const HIGH_SHARE = 0.5;

export class RequestRate {
  readonly #queues: Readonly<Record<Priority, Set<Waiter>>> = { high: new Set(), low: new Set() };
  readonly #most: Readonly<Record<Priority, number>>;
  readonly #bucket: Bucket | undefined;
  #pausedUntil = performance.now();
  #unanswered = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor({ limit, concurrency }: RequestRateOptions) {
    this.#most = {
      high: concurrency,
      low: Math.max(1, Math.floor(concurrency * (1 - HIGH_SHARE))),
    };
    this.#bucket = limit && createBucket(limit);
  }

  /**
   * Resolves when a request of that priority may go: while one of high priority waits, none of low priority goes. What it
   * returns has to be called when the request is over.
   *
   * @throws RequestRateClosedError
   */
  acquire(priority: Priority): Promise<() => void> {
    const waiter: Waiter = Promise.withResolvers();
    if (this.#isClosed) {
      reject(waiter);
    } else {
      this.#queues[priority].add(waiter);
      this.#grantNext();
    }
    return waiter.promise;
  }

  /** No request is granted for so long. A pause that ends later already stays. */
  pauseFor(milliseconds: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + milliseconds);
  }

  /** Whoever waits, or comes later, is rejected. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const queue of Object.values(this.#queues)) {
      for (const waiter of queue) reject(waiter);
      queue.clear();
    }
  }

  #grantNext(): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    for (;;) {
      const priority = this.#queues.high.size > 0 ? "high" : "low";
      const [first] = this.#queues[priority];
      if (first === undefined || this.#unanswered >= this.#most[priority]) return;
      const waitMs = Math.max(this.#pausedUntil - now, this.#bucket?.waitMs(priority, now) ?? 0);
      if (waitMs > CLOCK_ERROR_MS) {
        this.#timer = setTimeout(
          () => {
            this.#grantNext();
          },
          Math.ceil(waitMs - CLOCK_ERROR_MS),
        );
        return;
      }
      this.#queues[priority].delete(first);
      first.resolve(this.#grant());
    }
  }

  /** Returns what has to be called when the request is over. */
  #grant(): () => void {
    this.#bucket?.take();
    this.#unanswered++;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#unanswered--;
      this.#grantNext();
    };
  }
}

function reject(waiter: Waiter): void {
  waiter.reject(new RequestRateClosedError("no more requests are sent"));
}

interface Bucket {
  waitMs(priority: Priority, now: number): number;
  take(): void;
}

/** A bucket that fills with `perSecond` tokens up to `burst`, of which every request takes one. */
function createBucket({ perSecond, burst }: RateLimit): Bucket {
  // One token has to be left for low priority, too.
  const reserved = { high: 0, low: Math.min(burst * HIGH_SHARE, Math.max(0, burst - 1)) };
  let tokens = burst;
  let filledAt = performance.now();
  return {
    waitMs(priority, now) {
      tokens = Math.min(burst, tokens + ((now - filledAt) / 1000) * perSecond);
      filledAt = now;
      return ((1 + reserved[priority] - tokens) / perSecond) * 1000;
    },
    take() {
      tokens--;
    },
  };
}
