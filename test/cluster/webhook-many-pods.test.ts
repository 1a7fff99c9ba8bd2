import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { apiClient, podSpec, podWith, pullSecretsOf, WORKLOADS, type PodList } from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "./harness/wait-until.ts";

const IMAGE = "registry.example.com/team-a/app:v1";
const COUNT = 200;

await describeLevel("control-plane", `${String(COUNT)} pods`, () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startCluster();
    webhook = await startWebhook(cluster, {
      registries: [{ name: "team-a", address: "registry.example.com/team-a" }],
    });
    for (const name of ["listed", "parallel", "deployed"]) {
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

  it("of one list all have their secret once, after one review each", async () => {
    const list = { apiVersion: "v1", kind: "List", items: podsNamed("listed") };
    await cluster.kubectl.run(["create", "--filename=-"], JSON.stringify(list));
    await expectSecretOnce("listed");
    await expectOneReviewEach("listed");
  });

  it("created at the same moment all have their secret once, after one review each", async () => {
    const post = await apiClient(cluster);
    const answers = await Promise.all(
      podsNamed("parallel").map((pod) => post("/api/v1/namespaces/parallel/pods", pod)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    await expectSecretOnce("parallel");
    await expectOneReviewEach("parallel");
  });

  it("of a Deployment all have their secret once, half of them before the API server is restarted", async () => {
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
});
