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

  const ask = (name: string, ...more: readonly string[]) =>
    cluster.kubectl.run([
      ...["annotate", "--overwrite", `clusterregistry/${name}`],
      ...[`pullpass.dev/check-requested-at=${new Date().toISOString()}`, ...more],
    ]);
  /** There are ten seconds between two logins. */
  const untilReason = (name: string, type: string, reason: string) =>
    waitUntil(
      `${type} of ${name} to be ${reason}`,
      async () => {
        const condition = await conditionOf(name, type);
        if (condition?.reason === reason) return condition;
        throw new Error(JSON.stringify(condition));
      },
      { timeoutMs: 20_000, intervalMs: 100 },
    );

  it("tells whether its credentials log in, when it is asked", async () => {
    const { kubectl } = cluster;
    await ask("team-1");
    await untilReason("team-1", "LoginSucceeded", "Succeeded");
    // Kubernetes keeps times in whole seconds.
    await sleep(1100);
    await kubectl.apply(offeredLogin("team-1", { ...REGISTRY_USER, password: "made-up-wrong" }));
    await untilReason("team-1", "LoginSucceeded", "NotAsked");
    await ask("team-1");
    await untilReason("team-1", "LoginSucceeded", "Unauthorized");
  });

  it("tells whether its credentials may pull an image, which it pulls nothing of", async () => {
    const { kubectl, passwordRegistry, tokenRegistry } = cluster;
    const limited = { username: "made-up-limited", password: "made-up-limited" };
    await tokenRegistry.setUser(limited, (repository) => repository.startsWith("mine/"));
    const mine = await tokenRegistry.push("mine/app:v1", limited);
    const theirs = await tokenRegistry.push("theirs/app:v1", REGISTRY_USER);
    await kubectl.apply(
      offeredLogin("limited", limited),
      clusterRegistry("limited", { address: tokenRegistry.host }),
    );
    await kubectl.run(["wait", "--for=condition=Ready", "clusterregistry/limited", "--timeout=20s"]);
    for (const [image, reason, message] of [
      [mine, "Succeeded", `The credentials may pull ${mine}.`],
      [theirs, "Unauthorized", `The credentials may not pull ${theirs}: 401 Unauthorized from`],
      [`${mine}-not-there`, "ImageNotFound", `The registry has no ${mine}-not-there.`],
      [`${passwordRegistry.host}/mine/app`, "NotAsked", "The registry's address"],
    ] as const) {
      await ask("limited", `pullpass.dev/check-image=${image}`);
      const condition = await untilReason("limited", "PullSucceeded", reason);
      expect(condition.message).toContain(message);
      expect((await conditionOf("limited", "LoginSucceeded"))?.reason).toBe("Succeeded");
    }
    const own = (await tokenRegistry.accessLog()).filter(({ userAgent }) => userAgent === "pullpass");
    expect(own.map(({ method, path }) => `${method} ${path}`)).not.toContainEqual(
      expect.stringMatching(/^GET .*(?:manifests|blobs)/),
    );
    // Without an image, the answer about the last one goes.
    await ask("limited", "pullpass.dev/check-image-");
    await waitUntil(
      "no PullSucceeded",
      async () => (await conditionOf("limited", "PullSucceeded")) === undefined,
      { timeoutMs: 20_000, intervalMs: 100 },
    );
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
