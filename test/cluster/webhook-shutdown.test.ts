import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import {
  apiClient,
  podSpec,
  pullSecretsOf,
  startCreatingPods,
  WORKLOADS,
  type PodList,
  type PodObject,
} from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";

const IMAGE = "registry.example.com/team-a/app:v1";
const SHUTDOWN_DELAY_SECONDS = 2;

await describeLevel("control-plane", "a webhook that is told to stop, under Fail", () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startCluster();
    webhook = await startWebhook(cluster, {
      registries: [{ name: "team-a", address: "registry.example.com/team-a" }],
      failurePolicy: "Fail",
      shutdownDelaySeconds: SHUTDOWN_DELAY_SECONDS,
    });
    await createNamespace(cluster.kubectl, "team-a", { "pullpass.dev/inject": "enabled" });
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  it("goes on answering until its delay is over, and no pod is refused before", async () => {
    const creating = startCreatingPods(await apiClient(cluster), "team-a");
    await sleep(500);
    const toldAt = Date.now();
    await webhook.stop();
    await sleep(200);
    const creations = await creating.stop();
    const refused = creations.filter(({ status }) => status !== 201);
    const created = creations.filter(({ status }) => status === 201);

    expect(refused.length).toBeGreaterThan(0);
    const firstRefusal = Math.min(...refused.map(({ endedAt }) => endedAt));
    expect(firstRefusal - toldAt).toBeGreaterThanOrEqual(SHUTDOWN_DELAY_SECONDS * 1000);
    expect(created.filter(({ startedAt }) => startedAt > toldAt).length).toBeGreaterThan(10);
    for (const { body } of created) {
      expect(pullSecretsOf(JSON.parse(body) as PodObject)).toEqual(["pullpass-team-a"]);
    }
    for (const { body } of refused) expect(body).toContain("failed calling webhook");
  });

  it("is waited for by a Deployment, whose pods come with their secret once it runs again", async () => {
    const { kubectl } = cluster;
    await kubectl.create(WORKLOADS.Deployment("app", podSpec(IMAGE)), "--namespace=team-a");
    await kubectl.waitFor<Deployment>(
      ["deployment", "app", "--namespace=team-a"],
      ({ status }) =>
        status.conditions?.some(
          ({ type, message }) => type === "ReplicaFailure" && message.includes("failed calling webhook"),
        ) ?? false,
    );
    await webhook.start();
    const { items } = await kubectl.waitFor<PodList>(
      ["pods", "--namespace=team-a", "--selector=app=app"],
      (list) => list.items.length === 2,
    );
    expect(items.map(pullSecretsOf)).toEqual([["pullpass-team-a"], ["pullpass-team-a"]]);
  });
});

interface Deployment {
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly message: string }[];
  };
}
