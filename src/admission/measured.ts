/** Wraps the handler for those who want to know what it did and how long it took. */
import type { HandledReview, ReviewHandler } from "./ports.ts";
import type { Review } from "./review.ts";

/** Told of every review once it is handled. */
export type ReviewObserver = (review: Review, handled: HandledReview, durationSeconds: number) => void;

/** `now` is a clock in milliseconds that never goes back. */
export function measured(handle: ReviewHandler, now: () => number, observe: ReviewObserver): ReviewHandler {
  return (review) => {
    const start = now();
    const handled = handle(review);
    observe(review, handled, (now() - start) / 1000);
    return handled;
  };
}
