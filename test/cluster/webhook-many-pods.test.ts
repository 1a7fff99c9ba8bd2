import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAuthority } from "./harness/certificates.ts";
import { startCluster, type OwnCluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import {
  apiClient,
  podSpec,
  podWith,
  pullSecretsOf,
  startCreatingPods,
  WORKLOADS,
  type Creation,
  type PodList,
  type PodObject,
} from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";
import { awaitWebhooks, webhookConfiguration } from "./harness/webhook-configuration.ts";

const IMAGE = "registry.example.com/team-a/app:v1";
const COUNT = 200;
const SHUTDOWN_DELAY_SECONDS = 2;

await describeLevel("control-plane", "a webhook that many pods wait for, under Fail,", () => {
  let cluster: OwnCluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startCluster();
    webhook = await startWebhook(cluster, {
      registries: [{ name: "team-a", address: "registry.example.com/team-a" }],
      failurePolicy: "Fail",
      shutdownDelaySeconds: SHUTDOWN_DELAY_SECONDS,
    });
    for (const name of ["team-a", "listed", "parallel", "deployed"]) {
      await createNamespace(cluster.kubectl, name, { "pullpass.dev/inject": "enabled" });
    }
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  const podsNamed = (namespace: string) =>
    Array.from({ length: COUNT }, (_, index) => podWith(IMAGE, { name: `app-${String(index)}`, namespace }));
  const listPods = async (namespace: string) =>
    (await cluster.kubectl.json<PodList>("get", "pods", `--namespace=${namespace}`)).items;

  async function expectSecretOnce(namespace: string): Promise<void> {
    const pods = await listPods(namespace);
    expect(pods.length).toBe(COUNT);
    expect(pods.filter((pod) => pullSecretsOf(pod).join() !== "pullpass-team-a")).toEqual([]);
  }

  async function expectOneReviewEach(namespace: string): Promise<void> {
    await waitUntil("the log to be written", async () => {
      const reviews = await webhook.reviews(namespace);
      expect(reviews.length).toBe(COUNT);
      return reviews.every(({ decision }) => decision === "inject");
    });
  }

  it(`injects ${String(COUNT)} pods of one list, each once and after one review`, async () => {
    const list = { apiVersion: "v1", kind: "List", items: podsNamed("listed") };
    await cluster.kubectl.run(["create", "--filename=-"], JSON.stringify(list));
    await expectSecretOnce("listed");
    await expectOneReviewEach("listed");
  });

  it(`injects ${String(COUNT)} pods that are created at the same moment, each once and after one review`, async () => {
    const post = await apiClient(cluster);
    const answers = await Promise.all(
      podsNamed("parallel").map((pod) => post("/api/v1/namespaces/parallel/pods", pod)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    await expectSecretOnce("parallel");
    await expectOneReviewEach("parallel");
  });

  it(`injects ${String(COUNT)} pods of a Deployment once, half of them before the API server is restarted`, async () => {
    const { kubectl } = cluster;
    const scaleTo = async (replicas: number) => {
      const args = ["deployment/app", `--replicas=${String(replicas)}`, "--namespace=deployed"];
      await kubectl.run(["scale", ...args]);
      await waitUntil("its pods", async () => (await listPods("deployed")).length === replicas);
    };
    await kubectl.create(WORKLOADS.Deployment("app", podSpec(IMAGE)), "--namespace=deployed");
    await scaleTo(COUNT / 2);
    await cluster.restartApiServer();
    await scaleTo(COUNT);
    await expectSecretOnce("deployed");
    await expectOneReviewEach("deployed");
  });

  async function trust(authorityPem: string): Promise<void> {
    await cluster.kubectl.apply(webhookConfiguration({ ...webhook.registration, authorityPem }));
    await awaitWebhooks(cluster.kubectl);
  }

  function expectAllInjected(creations: readonly Creation[]): void {
    expect(creations.length).toBeGreaterThan(10);
    for (const { status, body } of creations) {
      expect({ status, body }).toMatchObject({ status: 201 });
      expect(pullSecretsOf(JSON.parse(body) as PodObject)).toEqual(["pullpass-team-a"]);
    }
  }

  it("refuses no pod while its certificate changes, if the same authority issued the new one", async () => {
    const creating = startCreatingPods(await apiClient(cluster), "team-a");
    await sleep(200);
    await webhook.swapCertificate(cluster.authority);
    await sleep(200);
    expectAllInjected(await creating.stop());
  });

  it("refuses no pod while its certificate changes, if both authorities are trusted meanwhile", async () => {
    const next = await createAuthority("the next authority");
    const creating = startCreatingPods(await apiClient(cluster), "team-a");
    await trust(cluster.authority.pem + next.pem);
    await webhook.swapCertificate(next);
    await trust(next.pem);
    await sleep(200);
    expectAllInjected(await creating.stop());
  });

  it("goes on answering after SIGTERM until its delay is over, and no pod is refused before", async () => {
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

  it("is waited for by a Deployment while it is down, whose pods come with their secret once it runs again", async () => {
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
