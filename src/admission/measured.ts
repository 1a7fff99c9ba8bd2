/** Wraps the handler for those who want to know what it did and how long it took. */
import type { Decision } from "../core/decision.ts";
import type { ReviewHandler } from "./ports.ts";

/** What is told of a review once it is handled. */
export interface ReviewEvent {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly durationSeconds: number;
  readonly uid: string;
  readonly namespace: string;
  readonly owner: string | undefined;
  readonly decision: Decision;
}

export type ReviewObserver = (event: ReviewEvent) => void;

/** Clocks in milliseconds: `now` says the time of day, `elapsed` never goes back. */
export interface Clocks {
  readonly now: () => number;
  readonly elapsed: () => number;
}

export function measured(handle: ReviewHandler, clocks: Clocks, observe: ReviewObserver): ReviewHandler {
  return (review) => {
    const start = clocks.elapsed();
    const handled = handle(review);
    const { decision, namespace, owner } = handled;
    const durationSeconds = (clocks.elapsed() - start) / 1000;
    observe({ time: clocks.now(), durationSeconds, uid: review.uid, namespace, owner, decision });
    return handled;
  };
}
