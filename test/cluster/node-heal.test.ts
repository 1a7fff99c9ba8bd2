import { parseAllDocuments } from "yaml";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { registryCrd } from "../../src/config/registry-crd.ts";
import { CHART_DIRECTORY, createHelm } from "./harness/chart.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { podSpec, pullSecretsOf, type PodList, type PodObject } from "./harness/pods.ts";
import { clusterRegistry, offeredLogin } from "./harness/registry-objects.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";

const NAMESPACE = "team-a";
/** Kubelet's back-off is long by then. */
const FAILING_MS = 40_000;

await describeLevel("node", "a Deployment that fails for want of a registry", () => {
  let cluster: NodeCluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startNodeCluster();
    const { kubectl } = cluster;
    await kubectl.apply(registryCrd());
    webhook = await startWebhook(cluster, { registries: [], flags: ["--heal"] });
    const helm = await createHelm(cluster);
    const { stdout } = await helm.run(
      ...["template", "pullpass", CHART_DIRECTORY, "--namespace=pullpass", "--set=heal.enabled=true"],
      "--show-only=templates/heal.yaml",
    );
    await kubectl.apply(...parseAllDocuments(stdout).map((document) => document.toJS() as object));
    const labels = { "pullpass.dev/inject": "enabled", "pullpass.dev/heal": "enabled" };
    await createNamespace(kubectl, NAMESPACE, labels);
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  it("runs within a minute of the registry's creation, by one eviction, and so does a DaemonSet", async () => {
    const { kubectl, passwordRegistry } = cluster;
    const image = await passwordRegistry.push("team-a/app:v1", REGISTRY_USER);
    const labels = { app: "agent" };
    await kubectl.run(["create", "deployment", "app", `--image=${image}`, `--namespace=${NAMESPACE}`]);
    await kubectl.create({
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: { name: "agent", namespace: NAMESPACE },
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podSpec(image) } },
    });
    const pods = async () => (await kubectl.json<PodList>("get", "pods", `--namespace=${NAMESPACE}`)).items;
    await waitUntil("both pods to fail", async () => {
      const found = await pods();
      return found.length === 2 && found.every(isBackingOff);
    });
    await sleep(FAILING_MS);
    const createdAt = Date.now();
    await kubectl.apply(
      offeredLogin("team-a", REGISTRY_USER),
      clusterRegistry("team-a", { address: `${passwordRegistry.host}/team-a` }),
    );
    const running = await waitUntil(
      "both to run",
      async () => {
        const found = (await pods()).filter(({ status }) => status?.phase === "Running");
        return found.length === 2 ? found : undefined;
      },
      { timeoutMs: 60_000 },
    );
    expect(Date.now() - createdAt).toBeLessThan(60_000);
    expect(running.map(pullSecretsOf)).toEqual([["pullpass-team-a"], ["pullpass-team-a"]]);
    const evicted = (await webhook.log()).filter(({ msg }) => msg === "evicted a stuck pod");
    const controllers = evicted.map(({ controller }) => controller?.replace(/-.*/, ""));
    expect(controllers.toSorted()).toEqual(["DaemonSet/agent", "ReplicaSet/app"]);
  }, 240_000);
});

function isBackingOff({ status }: PodObject): boolean {
  return Boolean(
    status?.containerStatuses?.some(({ state }) => state?.waiting?.reason === "ImagePullBackOff"),
  );
}
