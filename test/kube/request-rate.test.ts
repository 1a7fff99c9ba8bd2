import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  createRequestRate,
  RequestRateClosedError,
  type RequestRate,
  type RequestRateOptions,
} from "../../src/kube/request-rate.ts";
import type { Lane } from "../../src/replicator/ports.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A rate whose requests say when they go. */
function rateOf(options: Partial<RequestRateOptions>): {
  readonly rate: RequestRate;
  readonly gone: string[];
  readonly finish: Map<string, () => void>;
  readonly enter: (lane: Lane, name: string) => void;
} {
  const rate = createRequestRate({ perSecond: 10, burst: 1, concurrency: 1_000, ...options });
  const gone: string[] = [];
  const finish = new Map<string, () => void>();
  return {
    rate,
    gone,
    finish,
    enter(lane, name) {
      void rate.enter(lane).then((leave) => {
        gone.push(name);
        finish.set(name, leave);
      });
    },
  };
}

const pass = (milliseconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);

describe("a request rate", () => {
  it("lets a burst go at once, and the rest one by one", async () => {
    const { gone, enter } = rateOf({ perSecond: 10, burst: 3 });
    for (const name of ["1", "2", "3", "4", "5"]) enter("background", name);
    await pass(0);
    expect(gone).toEqual(["1", "2", "3"]);
    await pass(99);
    expect(gone).toHaveLength(3);
    await pass(2);
    expect(gone).toHaveLength(4);
    await pass(100);
    expect(gone).toEqual(["1", "2", "3", "4", "5"]);
  });

  it("keeps to the rate over time, and never saves up more than a burst", async () => {
    const { gone, enter } = rateOf({ perSecond: 50, burst: 5 });
    await pass(60_000);
    for (let index = 0; index < 200; index++) enter("background", index.toString());
    await pass(2_000);
    expect(gone.length).toBeGreaterThanOrEqual(103);
    expect(gone.length).toBeLessThanOrEqual(105);
  });

  it("lets all of the urgent lane go before any of the background, each in the order they came", async () => {
    const { gone, enter } = rateOf({ perSecond: 10, burst: 1 });
    enter("background", "first");
    for (const name of ["b1", "b2"]) enter("background", name);
    for (const name of ["u1", "u2"]) enter("urgent", name);
    await pass(1_000);
    expect(gone).toEqual(["first", "u1", "u2", "b1", "b2"]);
  });

  it("has no more requests unanswered than it may, and the urgent lane goes first there, too", async () => {
    const { gone, finish, enter } = rateOf({ perSecond: 1_000, burst: 1_000, concurrency: 2 });
    for (const name of ["b1", "b2", "b3"]) enter("background", name);
    enter("urgent", "u1");
    await pass(1_000);
    expect(gone).toEqual(["b1", "b2"]);
    const leave = finish.get("b2");
    leave?.();
    leave?.();
    await pass(0);
    expect(gone).toEqual(["b1", "b2", "u1"]);
  });

  it("lets nothing go during a pause, and then keeps to the rate", async () => {
    const { rate, gone, enter } = rateOf({ perSecond: 10, burst: 2 });
    rate.pauseFor(5_000);
    rate.pauseFor(1_000);
    for (const name of ["1", "2", "3"]) enter("urgent", name);
    await pass(4_999);
    expect(gone).toEqual([]);
    await pass(1);
    expect(gone).toEqual(["1", "2"]);
    await pass(101);
    expect(gone).toEqual(["1", "2", "3"]);
  });

  it("pauses also those that already wait", async () => {
    const { rate, gone, enter } = rateOf({ perSecond: 10, burst: 1 });
    for (const name of ["1", "2"]) enter("background", name);
    await pass(0);
    rate.pauseFor(3_000);
    await pass(2_999);
    expect(gone).toEqual(["1"]);
    await pass(2);
    expect(gone).toEqual(["1", "2"]);
  });

  it("sends everybody away once it is closed", async () => {
    const { rate } = rateOf({ burst: 1 });
    await rate.enter("urgent");
    const waiting = expect(rate.enter("background")).rejects.toThrow(RequestRateClosedError);
    rate.close();
    await waiting;
    await expect(rate.enter("urgent")).rejects.toThrow(RequestRateClosedError);
  });
});
