/** How long to wait: after one failure after the other, and for no longer than somebody wants. */

export interface BackOffLimits {
  /** The first wait is at most this long; each one after it at most twice as long as the one before. */
  readonly firstMs: number;
  readonly maxMs: number;
}

export interface BackOff {
  /**
   * The next wait in milliseconds: anything from nothing to the limit, so that the replicas of everything in a cluster do
   * not come back together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "full jitter").
   */
  next(): number;
  /** It worked. */
  reset(): void;
}

export function createBackOff({ firstMs, maxMs }: BackOffLimits, random = Math.random): BackOff {
  let limitMs = firstMs;
  return {
    next() {
      const wait = random() * limitMs;
      limitMs = Math.min(limitMs * 2, maxMs);
      return wait;
    },
    reset() {
      limitMs = firstMs;
    },
  };
}

/** A sleep that can be interrupted. */
export interface InterruptibleSleep {
  sleep(durationMs: number): Promise<void>;
  /** Ends the sleep; one that has not started yet ends as it starts. */
  interrupt(): void;
}

export function createInterruptibleSleep(): InterruptibleSleep {
  let isInterrupted = false;
  let wake: (() => void) | undefined;
  return {
    async sleep(durationMs) {
      if (!isInterrupted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, durationMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      isInterrupted = false;
    },
    interrupt() {
      isInterrupted = true;
      wake?.();
    },
  };
}
