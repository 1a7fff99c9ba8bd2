import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseGoDuration } from "../../src/core/go-duration.ts";
import { nextRefreshAt, retryDelay } from "../../src/providers/schedule.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const answeredAt = Date.parse("2026-11-27T00:00:00Z");

/** The rows of the table in schedule.ts, with what providers of vendors say. `ends`: the credential says so, after so long. */
const ROWS: readonly (readonly [
  cacheDuration: string | undefined,
  fallback: string,
  ends: number,
  after: number,
])[] = [
  ["12h", "1h", Infinity, 9.6 * HOUR],
  ["6h0m0s", "12h", Infinity, 4.8 * HOUR],
  ["1h", "0s", Infinity, 48 * MINUTE],
  ["60s", "12h", Infinity, MINUTE],
  ["720h", "12h", Infinity, 24 * DAY],
  ["21.6µs", "12h", Infinity, MINUTE],
  [undefined, "12h", Infinity, 9.6 * HOUR],
  [undefined, "30s", Infinity, MINUTE],
  [undefined, "0s", Infinity, 4 * MINUTE],
  ["0s", "12h", Infinity, 4 * MINUTE],
  ["0s", "2m", Infinity, 96_000],
  ["0s", "0s", Infinity, 4 * MINUTE],
  ["-1h", "12h", Infinity, 4 * MINUTE],
  // What can be seen of the end only shortens.
  ["12h", "12h", HOUR, 48 * MINUTE],
  ["1h", "12h", 12 * HOUR, 48 * MINUTE],
  ["0s", "12h", 4 * MINUTE, 192_000],
  ["12h", "12h", 30_000, MINUTE],
  ["12h", "12h", -HOUR, MINUTE],
];

describe("the next time", () => {
  it.each(ROWS)(
    "of an answer for %s, by default for %s, that ends after %d ms is after %d ms",
    (said, fallback, ends, after) => {
      const cacheDurationMs = said === undefined ? undefined : parseGoDuration(said);
      const answered = { answeredAt, cacheDurationMs, expiresAt: answeredAt + ends };
      const next = (jitter: number) =>
        nextRefreshAt({ ...answered, jitter }, parseGoDuration(fallback)) - answeredAt;
      expect(next(0)).toBeCloseTo(after, 3);
      expect(next(0.999)).toBeGreaterThanOrEqual(Math.max(MINUTE, after * 0.87));
      expect(next(0.999)).toBeLessThanOrEqual(after);
    },
  );

  it("leaves a fifth of the cache duration, and is never sooner than after a minute", () => {
    const duration = fc.integer({ min: 1, max: 60 * DAY });
    const jitter = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(duration, duration, jitter, (cacheDurationMs, ends, random) => {
        const expiresAt = answeredAt + ends;
        const after = nextRefreshAt({ answeredAt, cacheDurationMs, expiresAt, jitter: random }) - answeredAt;
        const latest = Math.max(MINUTE, 0.8 * Math.min(cacheDurationMs, ends));
        expect(after).toBeGreaterThanOrEqual(MINUTE);
        expect(after).toBeLessThanOrEqual(latest + 1e-3);
      }),
    );
  });
});

it.each([
  [1, 10_000],
  [2, 20_000],
  [3, 40_000],
  [5, 160_000],
  [6, 300_000],
  [1_000, 300_000],
])(
  "after failure %d in a row it waits for %d ms, at most a tenth less and never less than 10 s",
  (count, ms) => {
    expect(retryDelay(count, 0)).toBe(ms);
    expect(retryDelay(count, 0.5)).toBe(Math.max(10_000, ms * 0.95));
  },
);
