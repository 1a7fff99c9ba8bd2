import { parseAllDocuments } from "yaml";
import { afterAll, beforeAll, expect, it } from "vitest";
import { awaitPolicies } from "./harness/admission-policies.ts";
import { CHART_DIRECTORY, createHelm } from "./harness/chart.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass } from "./harness/install-pullpass.ts";
import { createNamespace, type KubernetesObject } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { podWith, pullSecretsOf, waitForRunning, type PodObject } from "./harness/pods.ts";
import type { Replica } from "./harness/run-replica.ts";

await describeLevel("node", "a node in a cluster without any webhook", () => {
  let cluster: NodeCluster;
  const replicas: Replica[] = [];

  beforeAll(async () => {
    cluster = await startNodeCluster();
    const { kubectl, passwordRegistry } = cluster;
    const auth = { type: "BasicAuth", ...REGISTRY_USER };
    const registries = [{ name: "team-a", address: `${passwordRegistry.host}/team-a`, auth }];
    const installation = await installPullpass(cluster, { registries });
    const helm = await createHelm(cluster);
    const { stdout } = await helm.run(
      ...["template", "pullpass", CHART_DIRECTORY, "--namespace=pullpass", "--set=mode=policy"],
      "--show-only=templates/policy.yaml",
    );
    await kubectl.apply(...parseAllDocuments(stdout).map((document) => document.toJS() as object));
    await createNamespace(kubectl, "app", { "pullpass.dev/inject": "enabled" });
    for (let count = 0; count < 2; count++)
      replicas.push(await installation.startReplica({ flags: ["--mode=policy"] }));
    await awaitPolicies(kubectl);
  });
  afterAll(() => cluster.stop());

  async function runPrivateImage(name: string): Promise<void> {
    const { kubectl, passwordRegistry } = cluster;
    const image = await passwordRegistry.push(`team-a/${name}:v1`, REGISTRY_USER);
    const pod = await kubectl.create<PodObject>(podWith(image, { name, namespace: "app" }));
    expect(pullSecretsOf(pod)).toEqual(["pullpass-team-a"]);
    await waitForRunning(cluster, name, "app");
    expect(await passwordRegistry.pullStatuses(`team-a/${name}`)).toContain(200);
  }

  it("runs a private image, with the secret that the policy gave its pod and the replicator wrote", async () => {
    const { items } = await cluster.kubectl.json<KubernetesObject & { readonly items: readonly unknown[] }>(
      ...["get", "mutatingwebhookconfigurations"],
    );
    expect(items).toEqual([]);
    await runPrivateImage("first");
  });

  it("runs another one after all replicas of Pullpass were killed", async () => {
    await Promise.all(replicas.map((replica) => replica.kill()));
    await runPrivateImage("second");
  });
});
