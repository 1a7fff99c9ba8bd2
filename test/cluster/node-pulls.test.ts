import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace, createPullSecret } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { requestedRelease } from "./harness/parts.ts";
import { podWith, pullSecretsOf, type PodList, type PodObject } from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";

const NAMESPACE = "team-a";
const OUTDATED = { ...REGISTRY_USER, password: "changed-last-year" };

await describeLevel("node", "a node pulls a private image", () => {
  let cluster: NodeCluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startNodeCluster();
    const { kubectl, passwordRegistry, tokenRegistry } = cluster;
    const { host } = passwordRegistry;
    webhook = await startWebhook(cluster, {
      registries: [
        { name: "team-a", address: `${host}/team-a`, secretName: "regcred" },
        { name: "mistyped", address: `${host}/mistyped` },
        { name: "old", address: `${host}/moving` },
        { name: "new", address: `${host}/moving` },
        { name: "tokens", address: tokenRegistry.host },
        { name: "hub", address: "docker.io", secretName: "hub-creds" },
      ],
    });
    await createNamespace(kubectl, NAMESPACE, { "pullpass.dev/inject": "enabled" });
    await createNamespace(kubectl, "team-b");
    const secrets = [
      { name: "regcred", server: host, ...REGISTRY_USER },
      { name: "pullpass-mistyped", server: host, ...OUTDATED },
      { name: "pullpass-old", server: host, ...OUTDATED },
      { name: "pullpass-new", server: host, ...REGISTRY_USER },
      { name: "pullpass-tokens", server: tokenRegistry.host, ...REGISTRY_USER },
      { name: "hub-creds", server: "https://index.docker.io/v1/", ...REGISTRY_USER },
    ];
    for (const secret of secrets) await createPullSecret(kubectl, { ...secret, namespace: NAMESPACE });
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  const create = (name: string, image: string, spec: object = {}) =>
    cluster.kubectl.create<PodObject>(podWith(image, { name, namespace: NAMESPACE }, spec));
  const waitForPod = (name: string, isDone: (pod: PodObject) => boolean, namespace = NAMESPACE) =>
    cluster.kubectl.waitFor<PodObject>(["pod", name, `--namespace=${namespace}`], isDone);
  const waitForRunning = (name: string) => waitForPod(name, ({ status }) => status?.phase === "Running");
  const waitForFailedPull = (name: string, namespace?: string) =>
    waitForPod(name, hasFailedToPull, namespace);

  it("with the secret that its pod was given", async () => {
    const { kubectl, passwordRegistry } = cluster;
    const image = await passwordRegistry.push("team-a/app:v1", REGISTRY_USER);
    await kubectl.run(["create", "deployment", "app", `--image=${image}`, `--namespace=${NAMESPACE}`]);
    const { items } = await kubectl.waitFor<PodList>(
      ["pods", `--namespace=${NAMESPACE}`, "--selector=app=app"],
      (list) => list.items.length === 1 && list.items.every(({ status }) => status?.phase === "Running"),
    );
    expect(items.map(pullSecretsOf)).toEqual([["regcred"]]);
    expect((await passwordRegistry.pullStatuses("team-a/app")).slice(0, 2)).toEqual([401, 200]);
  });

  it("not in a namespace that has the secret and did not opt in", async () => {
    const { kubectl, passwordRegistry } = cluster;
    const image = await passwordRegistry.push("team-a/other:v1", REGISTRY_USER);
    const { host: server } = passwordRegistry;
    await createPullSecret(kubectl, { name: "regcred", namespace: "team-b", server, ...REGISTRY_USER });
    await kubectl.create(podWith(image, { name: "other", namespace: "team-b" }));
    await waitForFailedPull("other", "team-b");
    expect(new Set(await passwordRegistry.pullStatuses("team-a/other"))).toEqual(new Set([401]));
  });

  it("not if the password in the secret is wrong", async () => {
    const { passwordRegistry } = cluster;
    const image = await passwordRegistry.push("mistyped/app:v1", REGISTRY_USER);
    expect(pullSecretsOf(await create("mistyped", image))).toEqual(["pullpass-mistyped"]);
    await waitForFailedPull("mistyped");
    expect(new Set(await passwordRegistry.pullStatuses("mistyped/app"))).toEqual(new Set([401]));
  });

  it("with the second of two secrets for one registry, where the first is outdated", async () => {
    const { passwordRegistry } = cluster;
    const image = await passwordRegistry.push("moving/app:v1", REGISTRY_USER);
    expect(pullSecretsOf(await create("moving", image))).toEqual(["pullpass-old", "pullpass-new"]);
    await waitForRunning("moving");
    const statuses = await passwordRegistry.pullStatuses("moving/app");
    expect(statuses[0]).toBe(401);
    expect(statuses.at(-1)).toBe(200);
  });

  it("and another one from a registry with tokens, in the same pod", async () => {
    const { passwordRegistry, tokenRegistry } = cluster;
    const images = [
      await passwordRegistry.push("team-a/left:v1", REGISTRY_USER),
      await tokenRegistry.push("team-a/right:v1", REGISTRY_USER),
    ];
    const containers = images.map((image, index) => ({ name: `main-${String(index)}`, image }));
    const pod = await create("both", "", { containers });
    expect(pullSecretsOf(pod)).toEqual(["regcred", "pullpass-tokens"]);
    await waitForRunning("both");
    expect(await passwordRegistry.pullStatuses("team-a/left")).toContain(200);
    expect(await tokenRegistry.pullStatuses("team-a/right")).toContain(200);
  });

  it("of Docker Hub with a secret that has Docker Hub's own key", async () => {
    const { tokenRegistry } = cluster;
    await tokenRegistry.push("library/tool:v1", REGISTRY_USER);
    expect(pullSecretsOf(await create("hub", "tool:v1"))).toEqual(["hub-creds"]);
    await waitForRunning("hub");
    expect(await tokenRegistry.pullStatuses("library/tool")).toContain(200);
    const { username } = REGISTRY_USER;
    expect(tokenRegistry.tokenRequests.at(-1)).toMatchObject({ username, status: 200 });
  });

  // Containerd can since 2.1.
  it.skipIf(requestedRelease() === "oldest")("for a volume", async () => {
    const { passwordRegistry, tokenRegistry } = cluster;
    const image = await tokenRegistry.push("team-a/reader:v1", REGISTRY_USER);
    const reference = await passwordRegistry.push("team-a/data:v1", REGISTRY_USER);
    const pod = await create("volume", image, {
      volumes: [{ name: "data", image: { reference } }],
      containers: [{ name: "main", image, volumeMounts: [{ name: "data", mountPath: "/data" }] }],
    });
    expect(pullSecretsOf(pod)).toEqual(["regcred", "pullpass-tokens"]);
    await waitForRunning("volume");
    expect(await passwordRegistry.pullStatuses("team-a/data")).toContain(200);
  });

  it("for debugging, with the secret that the running pod has", async () => {
    const { kubectl, passwordRegistry } = cluster;
    const image = await passwordRegistry.push("team-a/debugged:v1", REGISTRY_USER);
    const tool = await passwordRegistry.push("team-a/debugger:v1", REGISTRY_USER);
    await create("debugged", image);
    await waitForRunning("debugged");
    await kubectl.run(["debug", "debugged", `--image=${tool}`, `--namespace=${NAMESPACE}`]);
    await waitForPod("debugged", ({ status }) =>
      Boolean(status?.ephemeralContainerStatuses?.some(({ state }) => state?.running !== undefined)),
    );
    expect(await passwordRegistry.pullStatuses("team-a/debugger")).toContain(200);
  });

  it("not for a static pod, whose mirror pod is created as without us", async () => {
    const { node, passwordRegistry } = cluster;
    const image = await passwordRegistry.push("team-a/static:v1", REGISTRY_USER);
    const pod = podWith(image, { name: "static", namespace: NAMESPACE }, { hostNetwork: true });
    await writeFile(join(node.staticPodDirectory, "static.json"), JSON.stringify(pod));
    const mirror = await waitForPod(`static-${node.name}`, () => true);
    expect(pullSecretsOf(mirror)).toEqual([]);
    await waitUntil("the review of the mirror pod", async () =>
      (await webhook.reviews(NAMESPACE)).some(({ reason }) => reason === "mirror-pod"),
    );
  });
});

function hasFailedToPull({ status }: PodObject): boolean {
  const reasons = (status?.containerStatuses ?? []).map(({ state }) => state?.waiting?.reason ?? "");
  return reasons.some((reason) => reason === "ErrImagePull" || reason === "ImagePullBackOff");
}
