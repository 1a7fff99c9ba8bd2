import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Configuration } from "../../src/config/configuration.ts";
import type { JsonObject, Namespace } from "../../src/core/kubernetes.ts";
import type { PullSecretState } from "../../src/core/pull-secret.ts";
import { createStore, type Versioned } from "../../src/core/store.ts";
import type { ChangeHandler } from "../../src/kube/informer.ts";
import type { ClusterRegistry } from "../../src/kube/resources/cluster-registries.ts";
import type { PendingPod } from "../../src/kube/resources/pending-pods.ts";
import type { ClusterWarning } from "../../src/replicator/ports.ts";
import type { Informers } from "../../src/serve/informers.ts";
import { StuckPods } from "../../src/serve/stuck-pods.ts";
import { makeRegistry } from "../core/make-registry.ts";

const START = Date.parse("2026-11-26T12:00:00Z");

beforeEach(() => {
  vi.useFakeTimers({ now: START, toFake: ["Date", "performance", "setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const IMAGE = "registry.example.com/team-a/app:v1";
const REFUSED = `failed to resolve image: ${IMAGE}: 401 Unauthorized`;

interface PodDetails {
  readonly uid?: string;
  readonly owner?: string;
  readonly message?: string;
  readonly image?: string;
  readonly pullSecrets?: readonly string[];
}

/** The pods of an API server, and what is said and counted of them. */
function start({ optedIn = ["team-a"] }: { readonly optedIn?: readonly string[] } = {}) {
  let version = 0;
  let informer:
    { project: (object: JsonObject) => PendingPod; handler: ChangeHandler<PendingPod> } | undefined;
  const store = createStore<PendingPod>();
  const informers = {
    create<T extends Versioned>(_label: string, { project }: { project: (object: JsonObject) => T }) {
      const subscribe = (handler: ChangeHandler<T>) => {
        informer = { project, handler } as unknown as NonNullable<typeof informer>;
      };
      return { subscribe, start: () => undefined };
    },
    stop: vi.fn(),
  };
  const warnings: ClusterWarning[] = [];
  const secrets = new Map<string, PullSecretState>();
  const namespaces = new Set(optedIn);
  const onStuck = vi.fn();
  const logged = vi.fn();
  const leading = new AbortController();
  const stuckPods = new StuckPods({
    informers: informers as unknown as Pick<Informers, "create" | "stop">,
    optIns: {
      get: (name) =>
        namespaces.has(name) ? ({ name, isOptedIn: true, labels: {} } as Namespace) : undefined,
      optedInAt: () => undefined,
    },
    serviceAccount: () => undefined,
    pullSecret: (_namespace, name) => secrets.get(name) ?? { kind: "unknown" },
    warn: (warning) => warnings.push(warning),
    logger: { warn: logged },
    onStuck,
  });
  const registries = (...list: readonly ("objects" | "registries")[]) => {
    const configured = list.map((from) => ({
      ...makeRegistry("team", "registry.example.com", { secretName: "regcred" }),
      ...{ displayName: undefined, source: undefined, hosts: [], list: from, locate: () => undefined },
    }));
    const object = { name: "team", createdAt: "2026-11-26T12:00:30Z" } as ClusterRegistry;
    stuckPods.setRegistries({ registries: configured, builders: [] } as unknown as Configuration, [object]);
  };
  registries("registries");
  const put = (name: string, details: PodDetails = {}, namespace = "team-a"): void => {
    const { uid = name, owner, message = REFUSED, image = IMAGE, pullSecrets = [] } = details;
    const object = {
      metadata: {
        ...{
          namespace,
          name,
          uid,
          resourceVersion: String(++version),
          creationTimestamp: "2026-11-26T12:00:00Z",
        },
        ...(owner !== undefined && {
          ownerReferences: [
            { apiVersion: "v1", kind: "Other", name: "x", uid: "x" },
            { apiVersion: "apps/v1", kind: "ReplicaSet", name: owner, uid: `uid-${owner}`, controller: true },
          ],
        }),
      },
      spec: {
        containers: [{ name: "main", image }],
        imagePullSecrets: pullSecrets.map((secretName) => ({ name: secretName })),
      },
      status: {
        containerStatuses: [{ name: "main", state: { waiting: { reason: "ImagePullBackOff", message } } }],
      },
    };
    const current = informer?.project(object);
    const previous = store.get(namespace, name);
    if (current === undefined) return;
    store.set(namespace, name, current);
    informer?.handler(namespace, name, current, previous);
  };
  const remove = (name: string, namespace = "team-a"): void => {
    informer?.handler(namespace, name, undefined, store.remove(namespace, name));
  };
  const counts = () => Object.fromEntries([...stuckPods.counts()].filter(([, count]) => count > 0));
  return {
    stuckPods,
    put,
    remove,
    counts,
    warnings,
    logged,
    secrets,
    namespaces,
    registries,
    informers,
    onStuck,
    leading,
  };
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  // A look gives way to others now and then.
  for (let turns = 0; turns < 500; turns++) await new Promise((resolve) => setImmediate(resolve));
}

describe("stuck pods", () => {
  it("are counted once they have waited for ten seconds, by what is wrong with them", async () => {
    const { stuckPods, put, counts, leading } = start();
    expect(stuckPods.counts()).toEqual(new Map());
    stuckPods.start(leading.signal);
    put("lacks");
    put("absent", { message: `${IMAGE}: not found` });
    await pass(5_000);
    expect(counts()).toEqual({});
    await pass(5_000);
    expect(counts()).toEqual({ "lacks-secret": 1, "not-found": 1 });
    expect(stuckPods.counts().get("network")).toBe(0);
    expect([...stuckPods.counts().keys()]).not.toContain("nothing-wrong");
  });

  it("are not counted where the namespace did not opt in, and are as soon as it does", async () => {
    const { stuckPods, put, counts, warnings, namespaces, leading } = start();
    stuckPods.start(leading.signal);
    put("lacks", {}, "team-b");
    await pass(15_000);
    expect([counts(), warnings]).toEqual([{}, []]);
    namespaces.add("team-b");
    stuckPods.schedule();
    await pass(5_000);
    expect(counts()).toEqual({ "lacks-secret": 1 });
  });

  it("are diagnosed again when they, the registries or the copies change", async () => {
    const { stuckPods, put, remove, counts, secrets, registries, leading } = start();
    stuckPods.start(leading.signal);
    put("web");
    await pass(10_000);
    expect(counts()).toEqual({ "lacks-secret": 1 });
    registries("objects");
    await pass(5_000);
    expect(counts()).toEqual({ "older-than-registry": 1 });
    put("web", { pullSecrets: ["regcred"] });
    await pass(5_000);
    expect(counts()).toEqual({ unauthorized: 1 });
    secrets.set("regcred", { kind: "missing" });
    await pass(5_000);
    expect(counts()).toEqual({ unauthorized: 1 });
    stuckPods.schedule();
    await pass(5_000);
    expect(counts()).toEqual({ "secret-missing": 1 });
    remove("web");
    expect(counts()).toEqual({});
  });

  it("keep the cause that a kubelet says once, as long as it is the same pod", async () => {
    const { stuckPods, put, counts, registries, leading } = start();
    registries();
    stuckPods.start(leading.signal);
    put("web", { message: `${IMAGE}: not found` });
    put("web", { message: `Back-off pulling image "${IMAGE}"` });
    await pass(10_000);
    expect(counts()).toEqual({ "not-found": 1 });
    put("web", { uid: "another", message: `Back-off pulling image "${IMAGE}"` });
    await pass(10_000);
    expect(counts()).toEqual({ unknown: 1 });
  });

  it("are reported at their controller, once per cause and hour", async () => {
    const { stuckPods, put, warnings, leading } = start();
    stuckPods.start(leading.signal);
    put("web-1", { owner: "web" });
    put("web-2", { owner: "web" });
    put("alone");
    await pass(10_000);
    const [web, alone] = warnings;
    expect(warnings).toHaveLength(2);
    expect(web).toMatchObject({
      reason: "CannotPull",
      message: expect.stringMatching(
        /^Pod web-1 cannot pull\. The pod lacks pull secret regcred .* Create/,
      ) as string,
      object: { apiVersion: "apps/v1", kind: "ReplicaSet", namespace: "team-a", name: "web", uid: "uid-web" },
    });
    expect(alone?.object).toEqual({
      ...{ apiVersion: "v1", kind: "Pod", namespace: "team-a", name: "alone", uid: "alone" },
    });
    put("web-3", { owner: "web" });
    put("web-1", { owner: "web", message: `${IMAGE}: not found` });
    await pass(10_000);
    expect(warnings.map(({ object }) => object?.name)).toEqual(["web", "alone", "web"]);
    await pass(60 * 60_000);
    put("alone");
    await pass(5_000);
    expect(warnings.at(-1)?.object?.name).toBe("alone");
    expect(warnings).toHaveLength(4);
  });

  it("are reported a few at a time, where there are many, and all in the end", async () => {
    const { stuckPods, put, warnings, leading } = start();
    stuckPods.start(leading.signal);
    for (let pod = 0; pod < 7; pod++) put(`pod-${String(pod)}`);
    await pass(10_000);
    expect(warnings).toHaveLength(3);
    await pass(5_000);
    expect(warnings).toHaveLength(6);
    await pass(60_000);
    expect(warnings).toHaveLength(7);
  });

  it("are handed on with what is wrong, and diagnosed on demand", async () => {
    const { stuckPods, put, onStuck, leading } = start();
    stuckPods.start(leading.signal);
    put("web");
    await pass(10_000);
    const owner = expect.objectContaining({ kind: "Pod", name: "web" }) as object;
    const name = { namespace: "team-a", name: "web", uid: "web", owner };
    expect(onStuck).toHaveBeenCalledExactlyOnceWith(name, expect.objectContaining({ code: "lacks-secret" }));
    const pod = { metadata: {}, spec: {}, status: {} };
    expect(stuckPods.diagnose("team-a", pod)?.code).toBe("nothing-wrong");
    expect(stuckPods.diagnose("team-b", pod)).toBeUndefined();
  });

  it("are forgotten when this replica no longer leads, and watched again when it does", async () => {
    const { stuckPods, put, counts, informers, leading } = start();
    stuckPods.start(leading.signal);
    put("web");
    await pass(10_000);
    leading.abort();
    expect(informers.stop).toHaveBeenCalledExactlyOnceWith("pending pods");
    expect([counts(), stuckPods.counts().size]).toEqual([{}, 0]);
    stuckPods.start(new AbortController().signal);
    put("web");
    await pass(10_000);
    expect(counts()).toEqual({ "lacks-secret": 1 });
  });

  it("cost little memory, however many there are and however long what they say is", async () => {
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    const { stuckPods, put, counts, leading } = start();
    stuckPods.start(leading.signal);
    const pods = 10_000;
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let pod = 0; pod < pods; pod++) {
      const message = `failed ${String(pod)}: ${"x".repeat(20_000)}: ${IMAGE}: 401 Unauthorized`;
      put(`pod-${String(pod)}`, { message, owner: "web", image: `${IMAGE}-${"y".repeat(5_000)}` });
    }
    await pass(10_000);
    expect(Object.values(counts())).toEqual([pods]);
    collectGarbage();
    expect((process.memoryUsage().heapUsed - before) / pods).toBeLessThan(3_000);
  });

  const LARGE = { image: `${IMAGE}-${"y".repeat(500)}`, message: "x".repeat(500) };

  it("have bounded room, and what is gone makes room again", async () => {
    const { stuckPods, put, remove, counts, leading, logged } = start();
    stuckPods.start(leading.signal);
    const pods = 20_000;
    for (let pod = 0; pod < pods; pod++) put(`pod-${String(pod)}`, LARGE);
    await pass(10_000);
    const [kept = 0] = Object.values(counts());
    expect(kept).toBeGreaterThan(10_000);
    expect(kept).toBeLessThan(pods);
    expect(logged.mock.calls).toEqual([[{ pods: kept }, "too many stuck pods; the rest are not counted"]]);
    for (let pod = 0; pod < kept; pod++) remove(`pod-${String(pod)}`);
    put(`pod-${String(pods - 1)}`, { image: LARGE.image });
    await pass(10_000);
    expect(Object.values(counts())).toEqual([1]);
  });

  it("have all of that room in a replica that leads again", async () => {
    const { stuckPods, put, counts, leading, logged } = start();
    for (const signal of [leading.signal, new AbortController().signal]) {
      stuckPods.start(signal);
      for (let pod = 0; pod < 10_000; pod++) put(`pod-${String(pod)}`, LARGE);
      await pass(10_000);
      expect(Object.values(counts())).toEqual([10_000]);
      leading.abort();
    }
    expect(logged).not.toHaveBeenCalled();
  });
});
