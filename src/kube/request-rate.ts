/** How many requests go to the API server, and which go first. */
import type { Lane } from "../replicator/ports.ts";

export interface RequestRateOptions {
  /** Requests per second, over time. */
  readonly perSecond: number;
  /** As many may go at once after a quiet time, half of them if all are of the background. */
  readonly burst: number;
  /** As many may be unanswered, and half as many if all are of the background. Without it, those that wait for a connection would go first come, first served. */
  readonly concurrency: number;
}

export interface RequestRate {
  /**
   * Ends when a request of that lane may go: while one of the urgent lane waits, none of the background goes. What it
   * returns has to be called when the request is over.
   *
   * @throws RequestRateClosedError
   */
  enter(lane: Lane): Promise<() => void>;
  /** Nothing goes for so long. A pause that ends later already stays. */
  pauseFor(milliseconds: number): void;
  /** Whoever waits, or comes later, is sent away. */
  close(): void;
}

export class RequestRateClosedError extends Error {
  override readonly name = "RequestRateClosedError";
}

interface Waiter {
  readonly go: () => void;
  readonly sendAway: () => void;
}

/** What sums of fractions are off by; without it every wait would be a millisecond longer, the shortest there is. */
const CLOCK_ERROR_MS = 1e-3;

/**
 * What the background leaves to the urgent lane, of the burst and of the requests that may be unanswered: during a
 * rotation, which takes all that it may, a few new namespaces at once still have their copies at once.
 */
const URGENT_SHARE = 0.5;

/** A bucket that fills with `perSecond` tokens up to `burst`, of which every request takes one. */
export function createRequestRate({ perSecond, burst, concurrency }: RequestRateOptions): RequestRate {
  const lanes: Readonly<Record<Lane, Set<Waiter>>> = { urgent: new Set(), background: new Set() };
  const most: Readonly<Record<Lane, number>> = {
    urgent: concurrency,
    background: Math.max(1, Math.floor(concurrency * (1 - URGENT_SHARE))),
  };
  const reserved: Readonly<Record<Lane, number>> = {
    urgent: 0,
    // One token has to be left for the background, too.
    background: Math.min(burst * URGENT_SHARE, Math.max(0, burst - 1)),
  };
  let tokens = burst;
  let filledAt = performance.now();
  let pausedUntil = filledAt;
  let unanswered = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const leave = (): void => {
    unanswered--;
    letGo();
  };
  function letGo(): void {
    clearTimeout(timer);
    const now = performance.now();
    tokens = Math.min(burst, tokens + ((now - filledAt) / 1000) * perSecond);
    filledAt = now;
    for (;;) {
      const lane = lanes.urgent.size > 0 ? "urgent" : "background";
      const [first] = lanes[lane];
      if (first === undefined || unanswered >= most[lane]) return;
      const missing = 1 + reserved[lane] - tokens;
      const waitMs = Math.max(pausedUntil - now, (missing / perSecond) * 1000);
      if (waitMs > CLOCK_ERROR_MS) {
        timer = setTimeout(letGo, Math.ceil(waitMs - CLOCK_ERROR_MS));
        return;
      }
      lanes[lane].delete(first);
      tokens--;
      unanswered++;
      first.go();
    }
  }

  return {
    enter(lane) {
      return new Promise((resolve, reject) => {
        const sendAway = (): void => {
          reject(new RequestRateClosedError("no more requests are sent"));
        };
        if (isClosed) {
          sendAway();
          return;
        }
        lanes[lane].add({
          sendAway,
          go: () => {
            let isOver = false;
            resolve(() => {
              if (isOver) return;
              isOver = true;
              leave();
            });
          },
        });
        letGo();
      });
    },
    pauseFor(milliseconds) {
      pausedUntil = Math.max(pausedUntil, performance.now() + milliseconds);
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      for (const lane of Object.values(lanes)) {
        for (const waiter of lane) waiter.sendAway();
        lane.clear();
      }
    },
  };
}
