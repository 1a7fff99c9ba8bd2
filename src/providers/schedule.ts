/** When a provider is asked again. Times and durations are in milliseconds. */

import { longestWait } from "../core/back-off.ts";

/** What the next time depends on. */
export interface Answered {
  readonly answeredAt: number;
  /** For how long the answer holds, as it says itself. It is for caches, and says nothing about how long a credential works. */
  readonly cacheDurationMs: number | undefined;
  /** When the credential ends, where that can be seen in it. */
  readonly expiresAt: number | undefined;
  /** From 0 up to 1, so that what was asked together is not asked together for ever. */
  readonly jitter: number;
}

/** A fifth of the time is left for failures, and for the copies to be written. */
const SHARE = 0.8;
const MAX_JITTER = 0.1;
const MIN_INTERVAL_MS = 60_000;
/** Less than the five minutes that the tokens of Google's metadata server have left when there is a new one. */
const POLL_INTERVAL_MS = 4 * 60_000;

/*
 * cacheDuration | defaultCacheDuration | the next time is after
 * > 0           |                      | 80 % of cacheDuration
 * absent        | > 0                  | 80 % of defaultCacheDuration
 * absent        | 0 or absent          | 4 minutes
 * <= 0          | > 0                  | 80 % of defaultCacheDuration, and at most 4 minutes: whoever says "do not cache" says nothing
 *               |                      |   about how much time is left
 * <= 0          | 0 or absent          | 4 minutes
 *
 * Where the end of the credential can be seen, after at most 80 % of the time until then. Jitter takes off up to a tenth of the duration,
 * and a minute is the least: one plugin said 21.6µs (https://github.com/kubernetes/cloud-provider-aws/issues/348).
 */
export function nextRefreshAt(
  { answeredAt, cacheDurationMs, expiresAt = Infinity, jitter }: Answered,
  defaultCacheDurationMs = 0,
): number {
  const interval = Math.min(
    intervalOf(cacheDurationMs, defaultCacheDurationMs),
    SHARE * (expiresAt - answeredAt),
  );
  const early = (interval * MAX_JITTER * jitter) / SHARE;
  return answeredAt + Math.max(MIN_INTERVAL_MS, interval - early);
}

function intervalOf(cacheDurationMs: number | undefined, defaultMs: number): number {
  if (cacheDurationMs !== undefined && cacheDurationMs > 0) return SHARE * cacheDurationMs;
  const fallback = defaultMs > 0 ? SHARE * defaultMs : POLL_INTERVAL_MS;
  return cacheDurationMs === undefined ? fallback : Math.min(fallback, POLL_INTERVAL_MS);
}

const RETRIES = { firstMs: 10_000, maxMs: 5 * 60_000 };

/** How long to wait after so many failures in a row: 10 s, 20 s, ... 5 minutes. Jitter takes off up to a tenth, but of the first wait. */
export function retryDelay(failureCount: number, jitter: number): number {
  return Math.max(RETRIES.firstMs, longestWait(failureCount, RETRIES) * (1 - jitter / 10));
}
