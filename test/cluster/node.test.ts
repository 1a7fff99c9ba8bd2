import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { reportToStandardError } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createPullSecret, type KubernetesObject } from "./harness/kubectl.ts";
import { NO_TRACES, readClusterTraces, readMachineState, startInChild } from "./harness/machine-state.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { controlPlaneParts, nodeParts, requestedRelease } from "./harness/parts.ts";
import { sendRequest } from "../send-request.ts";
import { waitUntil } from "../wait-until.ts";

await describeLevel("node", "a node", () => {
  let cluster: NodeCluster;

  beforeAll(async () => {
    // On a machine that has no programs yet this builds them; only the start counts.
    await controlPlaneParts("newest", reportToStandardError);
    await nodeParts(requestedRelease(), reportToStandardError);
  });
  afterAll(() => cluster.stop());

  it("runs a pod with a private image within a minute from nothing", async () => {
    const started = Date.now();
    cluster = await startNodeCluster();
    const image = await cluster.passwordRegistry.push("team-a/app:v1", REGISTRY_USER);
    await createPullSecret(cluster.kubectl, {
      name: "password",
      server: cluster.passwordRegistry.host,
      ...REGISTRY_USER,
    });
    await cluster.kubectl.create(podWith("private", image, { imagePullSecrets: [{ name: "password" }] }));
    await waitForRunning(cluster, "private");
    // 11 s of two cores that one other file uses; 21 s were seen where two did.
    expect(Date.now() - started).toBeLessThan(60_000);
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
    await waitForRunning(cluster, "hub");
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

  // Containerd can since 2.1.
  it.skipIf(requestedRelease() === "oldest")("mounts an image as a volume", async () => {
    const image = await cluster.passwordRegistry.push("team-a/app:v1", REGISTRY_USER);
    const reference = await cluster.passwordRegistry.push("team-a/data:v1", REGISTRY_USER);
    await cluster.kubectl.create(
      podWith("volume", image, {
        imagePullSecrets: [{ name: "password" }],
        volumes: [{ name: "data", image: { reference } }],
        containers: [{ name: "main", image, volumeMounts: [{ name: "data", mountPath: "/data" }] }],
      }),
    );
    await waitForRunning(cluster, "volume");
    expect(await cluster.passwordRegistry.pullStatuses("team-a/data")).toContain(200);
  });

  it("lets kubectl execute a command in a pod", async () => {
    // The image holds nothing but /pause, which ends only on a signal.
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
    const { name } = cluster.network;
    const { processes, cgroups } = await readClusterTraces(name);
    // The first process of the node's namespaces, and the pod's two, in none of which the name is visible.
    expect(processes.filter((line) => /^\S*\/pause$/.test(line))).toHaveLength(3);
    expect(cgroups).not.toEqual([]);
    await cluster.stop();
    expect(await readClusterTraces(name)).toEqual(NO_TRACES);
    expect(await readMachineState()).toEqual(before);
  });

  it.each(["SIGINT", "SIGKILL"] as const)("is nothing after %s", async (signal) => {
    const before = await readMachineState();
    const child = await startInChild("node");
    await child.signal(signal);
    await waitUntil("the machine to be as before", async () => {
      expect(await readClusterTraces(child.name)).toEqual(NO_TRACES);
      return true;
    });
    expect(await readMachineState()).toEqual(before);
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
  await waitForRunning(cluster, "app");
}

function podWith(name: string, image: string, spec: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { containers: [{ name: "main", image }], ...spec },
  };
}

/** Fails with what the cluster and its kubelet have to say about the pod. */
async function waitForRunning({ kubectl, node }: NodeCluster, name: string): Promise<void> {
  try {
    // The kubelet tries what failed again after 0.5, 1, 2, 4, 8 and 16 s.
    await kubectl.waitFor<PodObject>(["pod", name], ({ status }) => status.phase === "Running", {
      timeoutMs: 40_000,
    });
  } catch (error) {
    const { stdout: events } = await kubectl.run(["events", `--for=pod/${name}`]);
    const log = (await readFile(node.kubeletLog, "utf8")).split("\n").filter((line) => line.includes(name));
    throw new Error(`${name} does not run:\n${events}\n${log.join("\n")}`, { cause: error });
  }
}
