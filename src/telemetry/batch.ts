/** Collects events and hands them on together. */
import type { ReviewEvent, ReviewObserver } from "../admission/measured.ts";

const MAX_EVENTS = 64;
const MAX_DELAY_MS = 100;

export type BatchObserver = (events: readonly ReviewEvent[]) => void;

export interface ReviewBatch {
  readonly observe: ReviewObserver;
  /** Hands on what is waiting. */
  flush(): void;
}

/**
 * Observers are called for many reviews in a row, not within each: writing a line costs three times as much between two
 * requests as it does right after another line, and the API server waits for the request.
 */
export function batchReviews(observers: readonly BatchObserver[]): ReviewBatch {
  // One list for good: V8 learns that it is kept and would put a new one among its old objects, and from there each that is
  // done with would keep its reviews until the next full collection.
  const waiting: ReviewEvent[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const events = waiting.splice(0);
    for (const observe of observers) observe(events);
  };
  return {
    observe(event) {
      waiting.push(event);
      if (waiting.length >= MAX_EVENTS) flush();
      else timer ??= setTimeout(flush, MAX_DELAY_MS);
    },
    flush,
  };
}
