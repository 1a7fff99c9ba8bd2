import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createPullSecret } from "./harness/create-pull-secret.ts";
import { describeLevel } from "./harness/describe-level.ts";
import type { Kubectl, KubernetesObject } from "./harness/kubectl.ts";
import { readMachineState } from "./harness/machine-state.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { sendRequest } from "./harness/send-request.ts";
import { startInChild } from "./harness/start-in-child.ts";
import { waitUntil } from "./harness/wait-until.ts";

await describeLevel("node", "a node", () => {
  let cluster: NodeCluster;

  beforeAll(async () => {
    // The first start on a machine builds; the time that counts is that of the second one.
    await (await startNodeCluster()).stop();
  });
  afterAll(() => cluster.stop());

  it("runs a pod with a private image within 20 s from nothing", async () => {
    const started = Date.now();
    cluster = await startNodeCluster();
    const image = await cluster.passwordRegistry.push("team-a/app:v1", REGISTRY_USER);
    await createPullSecret(cluster.kubectl, {
      name: "password",
      server: cluster.passwordRegistry.host,
      ...REGISTRY_USER,
    });
    await cluster.kubectl.create(podWith("private", image, { imagePullSecrets: [{ name: "password" }] }));
    await waitForRunning(cluster.kubectl, "private");
    expect(Date.now() - started).toBeLessThan(20_000);
    expect((await cluster.passwordRegistry.pullStatuses("team-a/app")).slice(0, 2)).toEqual([401, 200]);
  });

  it("takes the registry with tokens for Docker Hub", async () => {
    await cluster.tokenRegistry.push("library/tool:v1", REGISTRY_USER);
    await createPullSecret(cluster.kubectl, {
      name: "hub",
      server: "https://index.docker.io/v1/",
      ...REGISTRY_USER,
    });
    await cluster.kubectl.create(podWith("hub", "tool:v1", { imagePullSecrets: [{ name: "hub" }] }));
    await waitForRunning(cluster.kubectl, "hub");
    expect((await cluster.tokenRegistry.pullStatuses("library/tool")).slice(0, 2)).toEqual([401, 200]);
    expect(cluster.tokenRegistry.tokenRequests.at(-1)).toMatchObject({ username: "pullpass", status: 200 });
  });

  it("does not run a private image without its password", async () => {
    for (const registry of [cluster.passwordRegistry, cluster.tokenRegistry]) {
      const name = registry === cluster.tokenRegistry ? "no-token" : "no-password";
      const image = await registry.push("team-a/secret:v1", REGISTRY_USER);
      await cluster.kubectl.create(podWith(name, image));
      const pod = await cluster.kubectl.waitFor<PodObject>(["pod", name], ({ status }) =>
        Boolean(status.containerStatuses?.[0]?.state.waiting?.reason?.includes("Pull")),
      );
      expect(pod.status.phase).toBe("Pending");
      expect(new Set(await registry.pullStatuses("team-a/secret"))).toEqual(new Set([401]));
    }
  });

  it("has a registry whose users can be changed while it runs, and more registries", async () => {
    const registry = await cluster.addPasswordRegistry("another", 14);
    await registry.setUser({ username: "later", password: "first" });
    await registry.setUser({ username: "later", password: "second" });
    await expect(registry.push("app:v1", { username: "later", password: "first" })).rejects.toThrow();
    expect(await registry.push("app:v1", { username: "later", password: "second" })).toBe(
      `${registry.host}/app:v1`,
    );
  });

  it("runs a static pod, which the API server sees as a mirror pod", async () => {
    const image = await cluster.passwordRegistry.push("team-a/app:v1", REGISTRY_USER);
    const pod = podWith("static", image, {
      hostNetwork: true,
      containers: [{ name: "main", image, imagePullPolicy: "Never" }],
    });
    await writeFile(join(cluster.node.staticPodDirectory, "static.json"), JSON.stringify(pod));
    const mirror = await cluster.kubectl.waitFor<PodObject>(
      ["pod", `static-${cluster.node.name}`],
      () => true,
    );
    expect(mirror.metadata?.annotations).toHaveProperty(["kubernetes.io/config.mirror"]);
  });

  it("mounts an image as a volume", async () => {
    const image = await cluster.passwordRegistry.push("team-a/app:v1", REGISTRY_USER);
    const reference = await cluster.passwordRegistry.push("team-a/data:v1", REGISTRY_USER);
    await cluster.kubectl.create(
      podWith("volume", image, {
        imagePullSecrets: [{ name: "password" }],
        volumes: [{ name: "data", image: { reference } }],
        containers: [{ name: "main", image, volumeMounts: [{ name: "data", mountPath: "/data" }] }],
      }),
    );
    await waitForRunning(cluster.kubectl, "volume");
    expect(await cluster.passwordRegistry.pullStatuses("team-a/data")).toContain(200);
  });

  it("lets kubectl execute a command in a pod", async () => {
    // The image holds nothing but /pause, which ends by itself only when it is told to.
    const { stderr } = await cluster.kubectl
      .run(["exec", "private", "--", "/absent"])
      .catch((error: unknown) => {
        return { stderr: String(error) };
      });
    expect(stderr).toContain("/absent: no such file or directory");
  });

  it("reaches the API server where pods look for it", async () => {
    const url = `https://${cluster.network.address(129)}/version`;
    expect((await sendRequest(url, { ca: cluster.authority.pem })).status).toBe(200);
  });
});

await describeLevel("node", "what a node leaves behind", () => {
  it("is nothing after a stop", async () => {
    const before = await readMachineState();
    const cluster = await startNodeCluster();
    await runAPod(cluster);
    await cluster.stop();
    expect(await readMachineState()).toEqual(before);
  });

  it.each(["SIGINT", "SIGKILL"] as const)("is nothing after %s", async (signal) => {
    const before = await readMachineState();
    const child = await startInChild("node");
    await child.signal(signal);
    await waitUntil("the machine to be as before", async () => {
      expect(await readMachineState()).toEqual(before);
      return true;
    });
  });
});

interface PodObject extends KubernetesObject {
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly {
      readonly state: { readonly waiting?: { readonly reason?: string } };
    }[];
  };
}

async function runAPod(cluster: NodeCluster): Promise<void> {
  const image = await cluster.passwordRegistry.push("app:v1", REGISTRY_USER);
  await createPullSecret(cluster.kubectl, {
    name: "password",
    server: cluster.passwordRegistry.host,
    ...REGISTRY_USER,
  });
  await cluster.kubectl.create(podWith("app", image, { imagePullSecrets: [{ name: "password" }] }));
  await waitForRunning(cluster.kubectl, "app");
}

function podWith(name: string, image: string, spec: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { containers: [{ name: "main", image }], ...spec },
  };
}

async function waitForRunning(kubectl: Kubectl, name: string): Promise<void> {
  await kubectl.waitFor<PodObject>(["pod", name], ({ status }) => status.phase === "Running");
}
