import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ContainerVerdict } from "../../src/core/diagnosis.ts";
import type { ApisFor } from "../../src/kube/api.ts";
import { Healer, type HealMode } from "../../src/serve/heal.ts";

const START = Date.parse("2026-11-26T12:00:00Z");
let leading: AbortController;
beforeEach(() => {
  vi.useFakeTimers({ now: START });
  leading = new AbortController();
});
afterEach(() => {
  leading.abort();
  vi.useRealTimers();
});

const WAITING: ContainerVerdict = {
  ...{ code: "lacks-secret", sentence: "", advice: "", container: "main", image: "a.example.com/app" },
  ...{ failure: "unauthorized", lacking: ["pullpass-a"] },
};

interface FakePod {
  readonly owner: string;
  readonly createdAt: number;
  lacking: readonly string[];
}

/** A cluster of stuck pods, by name, each of its own ReplicaSet unless it says otherwise. */
function start(mode: HealMode = "on") {
  const pods = new Map<string, FakePod>();
  const evicted: string[] = [];
  let readings = 0;
  const state = { outcome: undefined as Error | undefined, isWebhookReady: true, isLeading: true };
  const objectOf = (name: string, { owner, createdAt }: FakePod) => ({
    metadata: {
      ...{ name, namespace: "app", uid: `uid-${name}`, resourceVersion: "7" },
      creationTimestamp: new Date(createdAt),
      ownerReferences: [{ kind: "ReplicaSet", name: owner, uid: `uid-${owner}`, controller: true }],
    },
    spec: { containers: [{ name: "main", image: "a.example.com/app" }] },
    status: { phase: "Pending" },
  });
  const core = {
    readNamespacedPod({ name }: { name: string }) {
      readings++;
      const pod = pods.get(name);
      return pod === undefined
        ? Promise.reject(new Error("no such pod"))
        : Promise.resolve(objectOf(name, pod));
    },
    listNamespacedPod: () => Promise.resolve({ items: [...pods].map(([name, pod]) => objectOf(name, pod)) }),
    createNamespacedPodEviction({ name, body }: { name: string; body: unknown }) {
      expect(body).toMatchObject({
        deleteOptions: { preconditions: { uid: `uid-${name}`, resourceVersion: "7" } },
      });
      evicted.push(name);
      pods.delete(name);
      return Promise.resolve({});
    },
  };
  const policy = { listNamespacedPodDisruptionBudget: () => Promise.resolve({ items: [] }) };
  const report = vi.fn();
  const outcomes: string[] = [];
  const healer = new Healer({
    mode,
    apisFor: (() => ({ core, policy })) as unknown as ApisFor,
    isEnabledIn: (namespace) => namespace === "app",
    diagnose: (_namespace, { metadata }) => {
      const { name } = metadata as { name: string };
      return [{ ...WAITING, lacking: pods.get(name)?.lacking ?? [] }];
    },
    hasCopy: () => true,
    isWebhookReady: () => Promise.resolve(state.isWebhookReady),
    report,
    onOutcome: (outcome) => outcomes.push(outcome),
    logger: { info: vi.fn(), warn: vi.fn() } as never,
  });
  healer.start(leading.signal);
  const add = (
    name: string,
    { owner = name, createdAt = START - 60_000, lacking = ["pullpass-a"] } = {},
  ): void => {
    pods.set(name, { owner, createdAt, lacking });
    const pod = { namespace: "app", name, uid: `uid-${name}`, owner: { uid: `uid-${owner}` } };
    healer.consider(pod, [{ ...WAITING, lacking }]);
  };
  return { healer, pods, evicted, state, report, outcomes, add, readings: () => readings };
}

const wait = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

describe("heal", () => {
  it("evicts ten pods a minute, after a burst of five", async () => {
    const { add, evicted } = start();
    for (let index = 0; index < 40; index++) add(`pod-${index.toString()}`);
    await wait(4);
    expect(evicted).toHaveLength(5);
    await wait(60);
    expect(evicted.length).toBeGreaterThanOrEqual(14);
    expect(evicted.length).toBeLessThanOrEqual(16);
    await wait(300);
    expect(evicted).toHaveLength(40);
  });

  it("takes one pod of a controller at a time, and the next once its replacement runs", async () => {
    const { add, evicted } = start();
    add("one", { owner: "app" });
    add("two", { owner: "app" });
    await wait(25);
    expect(evicted).toEqual(["one"]);
    await wait(30);
    expect(evicted).toEqual(["one", "two"]);
  });

  it("waits while the replacement is pending", async () => {
    const { add, evicted, pods } = start();
    add("one", { owner: "app" });
    add("two", { owner: "app" });
    await wait(2);
    pods.set("new", { owner: "app", createdAt: Date.now(), lacking: [] });
    await wait(120);
    expect(evicted).toEqual(["one"]);
    pods.delete("new");
    await wait(20);
    expect(evicted).toEqual(["one", "two"]);
  });

  it("keeps its hands off a controller for an hour where the replacement is no better", async () => {
    const { add, evicted, report, outcomes } = start();
    add("one", { owner: "app" });
    add("two", { owner: "app" });
    await wait(2);
    add("new", { owner: "app", createdAt: Date.now(), lacking: [] });
    await wait(20);
    expect(evicted).toEqual(["one"]);
    expect(outcomes).toEqual(["evicted", "did-not-help"]);
    const [, controller, reason] = report.mock.lastCall as unknown[];
    expect(controller).toMatchObject({ kind: "ReplicaSet", name: "app" });
    expect(reason).toBe("EvictionDidNotHelp");
    await wait(50 * 60);
    expect(evicted).toEqual(["one"]);
    await wait(15 * 60);
    expect(evicted).toContain("two");
  });

  it("evicts nothing in a dry run, and says once what it would", async () => {
    const { add, evicted, outcomes } = start("dry-run");
    add("one");
    await wait(120);
    expect(evicted).toEqual([]);
    expect(outcomes).toEqual(["would-evict"]);
  });

  it("tells nobody in a dry run why a pod is left alone", async () => {
    const { add, state, report } = start("dry-run");
    state.isWebhookReady = false;
    add("one");
    await wait(60);
    expect(report).not.toHaveBeenCalled();
  });

  it("waits until the webhook is ready", async () => {
    const { add, evicted, state, report } = start();
    state.isWebhookReady = false;
    add("one");
    await wait(60);
    expect(evicted).toEqual([]);
    expect(report.mock.calls).toEqual([
      [
        "app",
        expect.objectContaining({ kind: "ReplicaSet", name: "one" }),
        "LeftAlone",
        "A pod that cannot pull is left alone: new pods would not get their pull secrets now.",
      ],
    ]);
    state.isWebhookReady = true;
    await wait(15);
    expect(evicted).toEqual(["one"]);
  });

  it("asks nothing about a pod that lacks nothing, or waits for something else", async () => {
    const { healer, readings } = start();
    const pod = { namespace: "app", name: "one", uid: "uid-one", owner: { uid: "u" } };
    healer.consider(pod, [{ ...WAITING, lacking: [] }]);
    healer.consider(pod, [WAITING, { ...WAITING, failure: "not-found" }]);
    await wait(60);
    expect(readings()).toBe(0);
  });

  it("leaves the rest to the next leader", async () => {
    const { add, evicted } = start();
    leading.abort();
    add("one");
    await wait(60);
    expect(evicted).toEqual([]);
  });

  it("looks at no pod of a namespace that did not opt in", async () => {
    const { healer, evicted } = start();
    healer.consider({ namespace: "other", name: "one", uid: "uid-one", owner: { uid: "u" } }, [WAITING]);
    await wait(60);
    expect(evicted).toEqual([]);
  });
});
