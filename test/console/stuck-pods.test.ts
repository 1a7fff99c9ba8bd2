import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { StuckPods } from "../../src/console/stuck-pods.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import { KubeUnreachableError } from "../../src/kube/errors.ts";
import { indexOf } from "../core/make-registry.ts";
import { fakeApis } from "../kube/fake-transport.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** As many pods that cannot pull, each with a pull secret of its own. */
function start(count: number, answer: () => JsonObject) {
  const list = (entries: readonly (readonly [string, object])[]) => ({
    ...{ ready: () => Promise.resolve(), refusal: () => undefined },
    ...{ entries: () => entries, get: () => undefined },
  });
  const pods = Array.from({ length: count }, (_, index) => {
    const name = `web-${index.toString()}`;
    const waiting = [{ container: "app", image: "a.example.com/app", failure: "unauthorized", text: "" }];
    const stuck = { createdAt: 0, isMirror: false, isOptedOut: false, pullSecretNames: [name], waiting };
    return [`shop/${name}`, { uid: name, stuck, owner: { kind: "Pod", namespace: "shop", name } }] as const;
  });
  const asked: string[] = [];
  const apis = fakeApis(({ path }) => {
    asked.push(path);
    return answer();
  });
  const view = {
    ...{ pods: list(pods), registries: list([]), namespaces: list([]) },
    ...{ index: () => indexOf("a.example.com"), joined: () => ({ registries: [], faults: new Map() }) },
  };
  const transport = { list: () => Promise.resolve({ metadata: {} }) };
  return { asked, stuckPods: new StuckPods(view as never, apis, transport) };
}

const SECRET = { metadata: {} };

it("says that a Secret could not be asked for, and lists the pods all the same", async () => {
  const { stuckPods } = start(1, () => {
    throw new KubeUnreachableError("the API server does not answer");
  });
  expect(await stuckPods.list()).toMatchObject({ count: 1, unread: ["the API server does not answer"] });
  expect(await stuckPods.count()).toBe(1);
});

it("asks for a Secret again after ten seconds, and for no more than 500 in that time", async () => {
  const { asked, stuckPods } = start(600, () => SECRET);
  expect(await stuckPods.count()).toBe(600);
  expect(new Set(asked).size).toBe(500);
  await stuckPods.count();
  expect(asked).toHaveLength(500);
  vi.advanceTimersByTime(10_000);
  await stuckPods.count();
  expect(asked).toHaveLength(1_000);
});
