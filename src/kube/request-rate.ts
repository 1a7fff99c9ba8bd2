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

export interface RequestRate {
  /**
   * Resolves when a request of that priority may go: while one of high priority waits, none of low priority goes. What it
   * returns has to be called when the request is over.
   *
   * @throws RequestRateClosedError
   */
  acquire(priority: Priority): Promise<() => void>;
  /** No request is granted for so long. A pause that ends later already stays. */
  pauseFor(milliseconds: number): void;
  /** Whoever waits, or comes later, is rejected. */
  close(): void;
}

export class RequestRateClosedError extends Error {
  override readonly name = "RequestRateClosedError";
}

interface Waiter {
  readonly grant: () => void;
  readonly reject: () => void;
}

/** What sums of fractions are off by; without it every wait would be a millisecond longer, the shortest there is. */
const CLOCK_ERROR_MS = 1e-3;

/**
 * What low priority leaves to high priority, of the burst and of the requests that may be unanswered: during a rotation,
 * which takes all that it may, a few new namespaces at once still have their copies at once.
 */
const HIGH_SHARE = 0.5;

export function createRequestRate({ limit, concurrency }: RequestRateOptions): RequestRate {
  const queues: Readonly<Record<Priority, Set<Waiter>>> = { high: new Set(), low: new Set() };
  const most: Readonly<Record<Priority, number>> = {
    high: concurrency,
    low: Math.max(1, Math.floor(concurrency * (1 - HIGH_SHARE))),
  };
  const bucket = limit === undefined ? undefined : createBucket(limit);
  let pausedUntil = performance.now();
  let unanswered = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function grantNext(): void {
    clearTimeout(timer);
    const now = performance.now();
    for (;;) {
      const priority = queues.high.size > 0 ? "high" : "low";
      const [first] = queues[priority];
      if (first === undefined || unanswered >= most[priority]) return;
      const waitMs = Math.max(pausedUntil - now, bucket?.waitMs(priority, now) ?? 0);
      if (waitMs > CLOCK_ERROR_MS) {
        timer = setTimeout(grantNext, Math.ceil(waitMs - CLOCK_ERROR_MS));
        return;
      }
      queues[priority].delete(first);
      bucket?.take();
      unanswered++;
      first.grant();
    }
  }

  function release(): void {
    unanswered--;
    grantNext();
  }

  return {
    acquire(priority) {
      const { promise, resolve, reject } = Promise.withResolvers<() => void>();
      const waiter: Waiter = {
        reject() {
          reject(new RequestRateClosedError("no more requests are sent"));
        },
        grant() {
          let isReleased = false;
          resolve(() => {
            if (isReleased) return;
            isReleased = true;
            release();
          });
        },
      };
      if (isClosed) {
        waiter.reject();
      } else {
        queues[priority].add(waiter);
        grantNext();
      }
      return promise;
    },
    pauseFor(milliseconds) {
      pausedUntil = Math.max(pausedUntil, performance.now() + milliseconds);
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      for (const queue of Object.values(queues)) {
        for (const waiter of queue) waiter.reject();
        queue.clear();
      }
    },
  };
}

/** A bucket that fills with `perSecond` tokens up to `burst`, of which every request takes one. */
function createBucket({ perSecond, burst }: RateLimit): {
  waitMs(priority: Priority, now: number): number;
  take(): void;
} {
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
