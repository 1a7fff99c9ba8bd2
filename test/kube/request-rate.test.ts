import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RequestRate, RequestRateClosedError, type RequestRateOptions } from "../../src/kube/request-rate.ts";
import type { Priority } from "../../src/replicator/ports.ts";

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
  readonly enter: (priority: Priority, name: string) => void;
} {
  const rate = new RequestRate({ limit: { perSecond: 10, burst: 1 }, concurrency: 1_000, ...options });
  const gone: string[] = [];
  const finish = new Map<string, () => void>();
  return {
    rate,
    gone,
    finish,
    enter(priority, name) {
      void rate.acquire(priority).then((release) => {
        gone.push(name);
        finish.set(name, release);
      });
    },
  };
}

const pass = (milliseconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);

describe("a request rate", () => {
  it("lets a burst go at once, and the rest one by one", async () => {
    const { gone, enter } = rateOf({ limit: { perSecond: 10, burst: 3 } });
    for (const name of ["1", "2", "3", "4", "5"]) enter("high", name);
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
    const { gone, enter } = rateOf({ limit: { perSecond: 50, burst: 5 } });
    await pass(60_000);
    for (let index = 0; index < 200; index++) enter("high", index.toString());
    await pass(2_000);
    expect(gone.length).toBeGreaterThanOrEqual(103);
    expect(gone.length).toBeLessThanOrEqual(105);
  });

  it("lets all of the high priority go before any of low priority, each in the order they came", async () => {
    const { gone, enter } = rateOf({ limit: { perSecond: 10, burst: 1 } });
    enter("low", "first");
    for (const name of ["b1", "b2"]) enter("low", name);
    for (const name of ["u1", "u2"]) enter("high", name);
    await pass(1_000);
    expect(gone).toEqual(["first", "u1", "u2", "b1", "b2"]);
  });

  it("has no more requests unanswered than it may, and the high priority goes first there, too", async () => {
    const { gone, finish, enter } = rateOf({
      limit: { perSecond: 1_000, burst: 1_000 },
      concurrency: 2,
    });
    for (const name of ["u1", "u2", "u3"]) enter("high", name);
    enter("low", "b1");
    await pass(1_000);
    expect(gone).toEqual(["u1", "u2"]);
    const release = finish.get("u2");
    release?.();
    release?.();
    await pass(0);
    expect(gone).toEqual(["u1", "u2", "u3"]);
  });

  it("releases half of a burst to the high priority, however much low priority has to do", async () => {
    const { gone, enter } = rateOf({ limit: { perSecond: 10, burst: 4 } });
    for (const name of ["b1", "b2", "b3", "b4"]) enter("low", name);
    await pass(150);
    expect(gone).toEqual(["b1", "b2", "b3"]);
    for (const name of ["u1", "u2", "u3"]) enter("high", name);
    await pass(0);
    expect(gone).toEqual(["b1", "b2", "b3", "u1", "u2"]);
    await pass(60);
    expect(gone).toEqual(["b1", "b2", "b3", "u1", "u2", "u3"]);
    // What the high priority took of its half comes back first.
    await pass(280);
    expect(gone).toHaveLength(6);
    await pass(30);
    expect(gone).toHaveLength(7);
  });

  it("leaves half of the requests that may be unanswered to high priority", async () => {
    const { gone, finish, enter } = rateOf({
      limit: { perSecond: 1_000, burst: 1_000 },
      concurrency: 4,
    });
    for (const name of ["b1", "b2", "b3"]) enter("low", name);
    await pass(1_000);
    expect(gone).toEqual(["b1", "b2"]);
    for (const name of ["u1", "u2"]) enter("high", name);
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
  ])(
    "lets low priority go with a burst of $burst and $concurrency unanswered",
    async ({ burst, concurrency }) => {
      const { gone, enter } = rateOf({ limit: { perSecond: 10, burst }, concurrency });
      enter("low", "b1");
      await pass(0);
      expect(gone).toEqual(["b1"]);
    },
  );

  it("lets nothing go during a pause, and then keeps to the rate", async () => {
    const { rate, gone, enter } = rateOf({ limit: { perSecond: 10, burst: 2 } });
    rate.pauseFor(5_000);
    rate.pauseFor(1_000);
    for (const name of ["1", "2", "3"]) enter("high", name);
    await pass(4_999);
    expect(gone).toEqual([]);
    await pass(1);
    expect(gone).toEqual(["1", "2"]);
    await pass(101);
    expect(gone).toEqual(["1", "2", "3"]);
  });

  it("without a limit lets as many go as may be unanswered, and nothing during a pause", async () => {
    const rate = new RequestRate({ concurrency: 2 });
    const gone: string[] = [];
    const enter = async (name: string): Promise<void> => {
      const release = await rate.acquire("high");
      gone.push(name);
      if (name !== "3") release();
    };
    for (const name of ["1", "2", "3"]) void enter(name);
    await pass(0);
    expect(gone).toEqual(["1", "2", "3"]);
    rate.pauseFor(1_000);
    void enter("4");
    await pass(999);
    expect(gone).toHaveLength(3);
    await pass(1);
    expect(gone).toEqual(["1", "2", "3", "4"]);
  });

  it("pauses also those that already wait", async () => {
    const { rate, gone, enter } = rateOf({ limit: { perSecond: 10, burst: 1 } });
    for (const name of ["1", "2"]) enter("low", name);
    await pass(0);
    rate.pauseFor(3_000);
    await pass(2_999);
    expect(gone).toEqual(["1"]);
    await pass(2);
    expect(gone).toEqual(["1", "2"]);
  });

  it("sends everybody away once it is closed", async () => {
    const { rate } = rateOf({ limit: { perSecond: 10, burst: 1 } });
    await rate.acquire("high");
    const waiting = expect(rate.acquire("low")).rejects.toThrow(RequestRateClosedError);
    rate.close();
    await waiting;
    await expect(rate.acquire("high")).rejects.toThrow(RequestRateClosedError);
  });
});
