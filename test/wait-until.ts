import { setTimeout as sleep } from "node:timers/promises";

export class WaitTimeoutError extends Error {
  override readonly name = "WaitTimeoutError";

  constructor(what: string, timeoutMs: number, cause: unknown) {
    const last = cause instanceof Error ? `; the last try said: ${cause.message}` : "";
    super(`waited ${String(timeoutMs)} ms for ${what}${last}`, { cause });
  }
}

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
}

/**
 * Calls `attempt` until it returns something other than `undefined` or `false`, and returns that. An error counts as
 * "not yet": what is waited for usually is a server that does not listen so far.
 */
export async function waitUntil<T>(
  what: string,
  attempt: () => Promise<T | undefined | false> | T | undefined | false,
  { timeoutMs = 30_000, intervalMs = 50 }: WaitOptions = {},
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const result = await attempt();
      if (result !== undefined && result !== false) return result;
    } catch (error: unknown) {
      if (error instanceof NoUseWaitingError) throw error;
      lastError = error;
    }
    if (Date.now() > deadline) throw new WaitTimeoutError(what, timeoutMs, lastError);
    await sleep(intervalMs);
  }
}

/** Thrown by an attempt to say that no later attempt can succeed. */
export class NoUseWaitingError extends Error {
  override readonly name = "NoUseWaitingError";
}
