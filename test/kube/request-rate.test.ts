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
    for (const name of ["1", "2", "3", "4", "5"]) enter("urgent", name);
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
    for (let index = 0; index < 200; index++) enter("urgent", index.toString());
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
    for (const name of ["u1", "u2", "u3"]) enter("urgent", name);
    enter("background", "b1");
    await pass(1_000);
    expect(gone).toEqual(["u1", "u2"]);
    const leave = finish.get("u2");
    leave?.();
    leave?.();
    await pass(0);
    expect(gone).toEqual(["u1", "u2", "u3"]);
  });

  it("leaves half of a burst to the urgent lane, however much the background has to do", async () => {
    const { gone, enter } = rateOf({ perSecond: 10, burst: 4 });
    for (const name of ["b1", "b2", "b3", "b4"]) enter("background", name);
    await pass(150);
    expect(gone).toEqual(["b1", "b2", "b3"]);
    for (const name of ["u1", "u2", "u3"]) enter("urgent", name);
    await pass(0);
    expect(gone).toEqual(["b1", "b2", "b3", "u1", "u2"]);
    await pass(60);
    expect(gone).toEqual(["b1", "b2", "b3", "u1", "u2", "u3"]);
    // What the urgent lane took of its half comes back first.
    await pass(280);
    expect(gone).toHaveLength(6);
    await pass(30);
    expect(gone).toHaveLength(7);
  });

  it("leaves half of the requests that may be unanswered to the urgent lane", async () => {
    const { gone, finish, enter } = rateOf({ perSecond: 1_000, burst: 1_000, concurrency: 4 });
    for (const name of ["b1", "b2", "b3"]) enter("background", name);
    await pass(1_000);
    expect(gone).toEqual(["b1", "b2"]);
    for (const name of ["u1", "u2"]) enter("urgent", name);
    await pass(0);
    expect(gone).toEqual(["b1", "b2", "u1", "u2"]);
    for (const name of ["u1", "u2"]) finish.get(name)?.();
    await pass(0);
    expect(gone).toHaveLength(4);
    finish.get("b1")?.();
    await pass(0);
    expect(gone).toEqual(["b1", "b2", "u1", "u2", "b3"]);
  });

  it.each([
    { burst: 1, concurrency: 1 },
    { burst: 1.5, concurrency: 3 },
  ])("lets the background go with a burst of $burst and $concurrency unanswered", async (options) => {
    const { gone, enter } = rateOf(options);
    enter("background", "b1");
    await pass(0);
    expect(gone).toEqual(["b1"]);
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
