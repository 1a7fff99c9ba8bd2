import { describe, expect, it } from "vitest";
import { createBackOff } from "../../src/core/back-off.ts";

describe("a back-off", () => {
  it("waits up to twice as long each time, up to a limit, and starts over after a success", () => {
    const backOff = createBackOff({ firstMs: 500, maxMs: 3_000 }, () => 1);
    const waits = () => Array.from({ length: 5 }, () => backOff.next());
    expect(waits()).toEqual([500, 1_000, 2_000, 3_000, 3_000]);
    backOff.reset();
    expect(waits()).toEqual([500, 1_000, 2_000, 3_000, 3_000]);
  });

  it("waits anything from nothing to that", () => {
    const parts = [0, 0.25, 0.5];
    const backOff = createBackOff({ firstMs: 1_000, maxMs: 8_000 }, () => parts.shift() ?? 1);
    expect([backOff.next(), backOff.next(), backOff.next()]).toEqual([0, 500, 2_000]);
  });
});
