import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { registryCrd } from "../../src/config/registry-crd.ts";
import type { RegistryStatus } from "../../src/core/registry-status.ts";
import { runPullpass } from "../cli/run-pullpass.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace, type KubernetesObject } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { podWith, pullSecretsOf, waitForRunning } from "./harness/pods.ts";
import { clusterRegistry, offeredLogin } from "./harness/registry-objects.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";

const NAMESPACE = "team-a";
const ATTEMPTS = 20;

interface StoredRegistry extends KubernetesObject {
  readonly status?: RegistryStatus;
}

await describeLevel("node", "a ClusterRegistry", () => {
  let cluster: NodeCluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startNodeCluster();
    await cluster.kubectl.apply(registryCrd());
    const env = { NODE_EXTRA_CA_CERTS: cluster.passwordRegistry.authorityFile };
    webhook = await startWebhook(cluster, { registries: [], env });
    await createNamespace(cluster.kubectl, NAMESPACE, { "pullpass.dev/inject": "enabled" });
    await createNamespace(cluster.kubectl, "team-b", { "pullpass.dev/inject": "enabled" });
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  const conditionOf = async (name: string, type: string) =>
    (await cluster.kubectl.json<StoredRegistry>("get", "clusterregistry", name)).status?.conditions.find(
      (condition) => condition.type === type,
    );

  it("is in the config.json with which kubelet pulls the private image of a static pod", async () => {
    const { kubectl, node, passwordRegistry } = cluster;
    await kubectl.apply(
      offeredLogin("static", REGISTRY_USER),
      clusterRegistry("static", { address: `${passwordRegistry.host}/static` }),
    );
    // Kubelet's, in its mount namespace. It remembers for five minutes what it found, so this comes before any pull.
    const file = `/proc/${node.kubeletPid.toString()}/root/var/lib/kubelet/config.json`;
    const { stdout, stderr, status } = runPullpass(
      [
        ...["registries", "docker-config", "--from-cluster", `--kubeconfig=${cluster.kubeconfig}`],
        ...["--for=kubelet", `--output=${file}`],
      ],
      ".",
    );
    expect({ stdout, status }, stderr).toEqual({ stdout: "", status: 0 });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const image = await passwordRegistry.push("static/app:v1", REGISTRY_USER);
    const pod = podWith(image, { name: "static", namespace: NAMESPACE }, { hostNetwork: true });
    await writeFile(join(node.staticPodDirectory, "static.json"), JSON.stringify(pod));
    expect(pullSecretsOf(await waitForRunning(cluster, `static-${node.name}`, NAMESPACE))).toEqual([]);
    expect(await passwordRegistry.pullStatuses("static/app")).toContain(200);
  });

  it(`serves the pod that is created right after it, ${ATTEMPTS.toString()} times of ${ATTEMPTS.toString()}`, async () => {
    const { kubectl, passwordRegistry } = cluster;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const name = `team-${attempt.toString()}`;
      const image = await passwordRegistry.push(`${name}/app:v1`, REGISTRY_USER);
      const address = `${passwordRegistry.host}/${name}`;
      await kubectl.apply(offeredLogin(name, REGISTRY_USER), clusterRegistry(name, { address }));
      // As a person or a script does next.
      await kubectl.run(
        ["create", "--filename=-"],
        JSON.stringify(podWith(image, { name, namespace: NAMESPACE })),
      );
      const pod = await waitForRunning(cluster, name, NAMESPACE);
      expect(pullSecretsOf(pod)).toEqual([`pullpass-${name}`]);
      await kubectl.run(["delete", "pod", name, `--namespace=${NAMESPACE}`, "--grace-period=0", "--force"]);
    }
  });

  it("is Ready for kubectl wait, and says so for kubectl get", async () => {
    const { kubectl } = cluster;
    await kubectl.run(["wait", "--for=condition=Ready", "clusterregistries", "--all", "--timeout=20s"]);
    const { stdout } = await kubectl.run(["get", "creg", "team-1", "--no-headers"]);
    expect(stdout).toMatch(/^team-1 +\S+\/team-1 +BasicAuth +True +Ready +2 +\S+\n$/);
  });

  it("tells whether its credentials log in, when it is asked", async () => {
    const { kubectl } = cluster;
    const ask = () =>
      kubectl.run([
        ...["annotate", "--overwrite", "clusterregistry/team-1"],
        `pullpass.dev/check-requested-at=${new Date().toISOString()}`,
      ]);
    const untilReason = (reason: string) =>
      waitUntil(`the login to be ${reason}`, async () => {
        const condition = await conditionOf("team-1", "LoginSucceeded");
        if (condition?.reason === reason) return condition;
        throw new Error(JSON.stringify(condition));
      });
    await ask();
    await untilReason("Succeeded");
    // Kubernetes keeps times in whole seconds.
    await sleep(1100);
    await kubectl.apply(offeredLogin("team-1", { ...REGISTRY_USER, password: "made-up-wrong" }));
    await untilReason("NotAsked");
    await ask();
    await untilReason("Unauthorized");
  });

  it("takes its copies along when it is deleted", async () => {
    const { kubectl } = cluster;
    await kubectl.run(["delete", "clusterregistry", "team-2"]);
    await waitUntil("the copies to go", async () => {
      const { stdout } = await kubectl.run(["get", "secrets", "--all-namespaces", "--output=name"]);
      return !stdout.includes("pullpass-team-2\n");
    });
  });
});
