import { expect, it } from "vitest";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import { KubeApiError } from "../../src/kube/errors.ts";
import { createPodsInUse } from "../../src/console/pods-in-use.ts";

function start(pods: readonly (readonly [name: string, injected: string])[], failure?: Error) {
  const asked: string[] = [];
  const state = { failure };
  const view = {
    joined: () => ({ registries: [{ name: "team-a" }, { name: "hub" }], faults: new Map() }),
    registries: { entries: () => [["team-a", {}]] },
  };
  const transport = {
    list({ path, query }: { path: string; query: object }, onObject: (object: JsonObject) => void) {
      asked.push(`${path} ${JSON.stringify(query)}`);
      if (state.failure !== undefined) return Promise.reject(state.failure);
      for (const [name, injected] of pods)
        onObject({
          metadata: { namespace: "shop", name, annotations: { "pullpass.dev/injected": injected } },
        });
      return Promise.resolve({ metadata: {} });
    },
  };
  return { asked, state, podsInUse: createPodsInUse(view as never, transport as never) };
}

it("counts the running pods of each registry, and names the first few, by one look at the pods", async () => {
  const many = Array.from({ length: 7 }, (_, index) => [`web-${index.toString()}`, "team-a"] as const);
  const { asked, podsInUse } = start([...many, ["both", "team-a,hub"], ["none", ""]]);
  const [teamA, hub, none] = await Promise.all([podsInUse("team-a"), podsInUse("hub"), podsInUse("gone")]);
  expect(teamA?.count).toBe(8);
  expect(teamA?.examples.map(({ name }) => name)).toEqual(["web-0", "web-1", "web-2", "web-3", "web-4"]);
  expect(hub).toEqual({ count: 1, examples: [{ namespace: "shop", name: "both" }] });
  expect(none).toEqual({ count: 0, examples: [] });
  await podsInUse("team-a");
  expect(asked).toEqual(['/api/v1/pods {"fieldSelector":"status.phase=Running","limit":"500"}']);
});

it("keeps nothing of what strangers write into the annotation", async () => {
  const names = Array.from({ length: 10_000 }, (_, index) => `made-up-${index.toString()}`).join(",");
  const { podsInUse } = start([["hostile", `${names},team-a,team-a,__proto__`]]);
  expect((await podsInUse("team-a"))?.count).toBe(1);
  expect((await podsInUse("made-up-1"))?.count).toBe(0);
});

it("is unknown to whoever may not list pods, and is asked again after another failure", async () => {
  const refused = new KubeApiError(403, "Forbidden", {}, "pods is forbidden");
  expect(await start([], refused).podsInUse("team-a")).toBeNull();
  const { state, podsInUse } = start([["web", "team-a"]], new Error("no answer"));
  await expect(podsInUse("team-a")).rejects.toThrow("no answer");
  state.failure = undefined;
  expect((await podsInUse("team-a"))?.count).toBe(1);
});
