/** How long to wait after one failure after the other. */

export interface BackOffLimits {
  /** The first wait is at most this long; each one after it at most twice as long as the one before. */
  readonly firstMs: number;
  readonly maxMs: number;
}

/** The longest wait after so many failures in a row, in milliseconds. Jitter is the caller's: it takes off as much as fits. */
export function longestWait(failureCount: number, { firstMs, maxMs }: BackOffLimits): number {
  return Math.min(maxMs, firstMs * 2 ** (failureCount - 1));
}

export interface BackOff {
  /**
   * The next wait in milliseconds: anything from nothing to the longest, so that the replicas of everything in a cluster do
   * not come back together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "full jitter").
   */
  next(): number;
  /** It worked. */
  reset(): void;
}

export function createBackOff(limits: BackOffLimits, random = Math.random): BackOff {
  let failureCount = 0;
  return {
    next: () => random() * longestWait(++failureCount, limits),
    reset() {
      failureCount = 0;
    },
  };
}
