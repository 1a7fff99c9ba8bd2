import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ApisFor } from "../../src/kube/api.ts";
import { KubeUnreachableError } from "../../src/kube/errors.ts";
import {
  LeaderElection,
  type LeaderElectionHandlers,
  type LeaderElectionOptions,
} from "../../src/kube/leader-election.ts";
import { fakeApis } from "./fake-transport.ts";
import { createLeaseStore, type LeaseStore } from "./lease-store.ts";

const NEVER = new Promise<never>(() => undefined);
const UNREACHABLE = new KubeUnreachableError("the connection broke");

let store: LeaseStore;
let calls: string[];

beforeEach(() => {
  // performance.now() and Date are those of the fake time, too.
  vi.useFakeTimers();
  store = createLeaseStore();
  calls = [];
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function start(
  identity: string,
  { onError = () => undefined, ...options }: Partial<LeaderElectionOptions & LeaderElectionHandlers> = {},
) {
  const election = new LeaderElection({
    apisFor: store.apisFor,
    namespace: "pullpass",
    name: "pullpass",
    identity,
    ...options,
  });
  election.start({
    onStarted: () => calls.push(`${identity} started`),
    onStopped: () => calls.push(`${identity} stopped`),
    onError,
  });
  return election;
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("a leader", () => {
  it("whose requests hang stops 7 s after its last renewal", async () => {
    const one = start("one");
    await pass(1_000);
    store.meddle = () => NEVER;
    await pass(5_900);
    expect(one.isLeading()).toBe(true);
    await pass(200);
    expect(one.isLeading()).toBe(false);
    expect(calls).toEqual(["one started", "one stopped"]);
  });

  it("counts its last renewal from when it sent it, because the API server may have written it then", async () => {
    store.meddle = async (_request, answer) => {
      const answered = answer();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return answered;
    };
    const one = start("one");
    await pass(900);
    expect(one.isLeading()).toBe(false);
    await pass(200);
    expect(one.isLeading()).toBe(true);
    store.meddle = () => NEVER;
    await pass(5_800);
    expect(one.isLeading()).toBe(true);
    await pass(200);
    expect(one.isLeading()).toBe(false);
  });

  it("does not lead after the deadline, also when nothing could tell it so yet", async () => {
    let nowMs = 0;
    const clocks = { monotonicMs: () => nowMs, now: () => new Date() };
    const one = start("one", { clocks });
    await pass(0);
    nowMs = 6_999;
    expect(one.isLeading()).toBe(true);
    nowMs = 7_000;
    expect(one.isLeading()).toBe(false);
    // No timer ran.
    expect(calls).toEqual(["one started"]);
  });

  it("says of what was begun in a term whether it lasts, and never again once it is over", async () => {
    const one = start("one");
    const before = one.guard();
    await pass(1_000);
    const first = one.guard();
    expect([before(), first()]).toEqual([false, true]);
    store.meddle = () => NEVER;
    await pass(7_100);
    expect(first()).toBe(false);
    store.meddle = (_request, answer) => Promise.resolve().then(answer);
    await pass(30_000);
    expect(one.isLeading()).toBe(true);
    expect([before(), first(), one.guard()()]).toEqual([false, false, true]);
  });

  it("stays the leader through faults that are shorter than the deadline", async () => {
    const errors: unknown[] = [];
    const one = start("one", { onError: (error) => errors.push(error) });
    await pass(1_000);
    const { meddle } = store;
    store.meddle = () => Promise.reject(UNREACHABLE);
    await pass(5_400);
    store.meddle = meddle;
    await pass(60_000);
    expect(one.isLeading()).toBe(true);
    expect(calls).toEqual(["one started"]);
    expect(new Set(errors)).toEqual(new Set([UNREACHABLE]));
  });

  it("stays the leader when a renewal was written and its answer lost", async () => {
    const one = start("one");
    await pass(1_000);
    const { meddle } = store;
    store.meddle = (_request, answer) => {
      answer();
      store.meddle = meddle;
      return NEVER;
    };
    await pass(60_000);
    expect(one.isLeading()).toBe(true);
    expect(calls).toEqual(["one started"]);
    expect(store.spec()).toMatchObject({ holderIdentity: "one", leaseTransitions: 0 });
  });

  it("begins a new term when it gets through again, and nobody took over", async () => {
    const one = start("one");
    await pass(1_000);
    const { meddle } = store;
    store.meddle = () => NEVER;
    await pass(20_000);
    store.meddle = meddle;
    await pass(5_000);
    expect(one.isLeading()).toBe(true);
    expect(calls).toEqual(["one started", "one stopped", "one started"]);
  });

  it("that gives up while its renewal is under way leaves no holder behind", async () => {
    const one = start("one");
    await pass(1_000);
    const { meddle } = store;
    store.meddle = async (_request, answer) => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      return answer();
    };
    await pass(1_100);
    store.meddle = meddle;
    const released = one.release();
    expect(one.isLeading()).toBe(false);
    await pass(500);
    await released;
    expect(calls).toEqual(["one started", "one stopped"]);
    expect(store.spec()).toMatchObject({ leaseDurationSeconds: 1 });
    expect(store.spec()?.["holderIdentity"]).toBeUndefined();
  });

  it("gives up in seconds when nothing answers, and asks nothing afterwards", async () => {
    const errors: unknown[] = [];
    const one = start("one", { onError: (error) => errors.push(error) });
    await pass(1_000);
    const hangs = vi.fn(() => NEVER);
    store.meddle = hangs;
    const released = one.release();
    await pass(2_500);
    await released;
    expect(errors).toHaveLength(1);
    expect(hangs).toHaveBeenCalledTimes(1);
    await pass(60_000);
    expect(hangs).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a candidate", () => {
  it("takes over a lost leader by polling alone, as soon as the lease that it saw ran out", async () => {
    // It polls every 2.3 s from 1 s on, so that it sees at 10.2 s what was renewed at 10 s.
    vi.spyOn(Math, "random").mockReturnValue(0.6);
    let isCutOff = false;
    const apisFor: ApisFor = fakeApis((request) => (isCutOff ? NEVER : store.answer(request)));
    start("one", { apisFor });
    await pass(1_000);
    const two = start("two");
    await pass(10_000);
    isCutOff = true;
    await pass(9_100);
    expect(two.isLeading()).toBe(false);
    await pass(200);
    expect(two.isLeading()).toBe(true);
    expect(calls).toEqual(["one started", "one stopped", "two started"]);
  });

  it("takes nothing while the holder renews, whatever time its clock says", async () => {
    const years = Date.now() - Date.parse("2001-01-01T00:00:00Z");
    const clocks = { monotonicMs: () => performance.now(), now: () => new Date(Date.now() - years) };
    const one = start("one", { clocks });
    await pass(1_000);
    const two = start("two");
    await pass(120_000);
    expect([one.isLeading(), two.isLeading()]).toEqual([true, false]);
    expect(store.spec()).toMatchObject({
      renewTime: expect.stringMatching(/^2001-01-01T00:0\d:\d\d\.\d{3}000Z$/) as unknown,
    });
  });

  it("that gives up leaves the lease of the leader alone", async () => {
    const one = start("one");
    await pass(1_000);
    const two = start("two");
    await pass(1_000);
    await two.release();
    expect(one.isLeading()).toBe(true);
    expect(store.spec()).toMatchObject({ holderIdentity: "one" });
    expect(calls).toEqual(["one started"]);
  });

  it("that is given the lease only after it gave up gives it back, and never starts", async () => {
    const { meddle } = store;
    store.meddle = async (request, answer) => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return meddle(request, answer);
    };
    const one = start("one");
    await pass(1_500);
    const released = one.release();
    await pass(2_000);
    await released;
    expect(calls).toEqual([]);
    expect(store.spec()?.["holderIdentity"]).toBeUndefined();
  });
});
