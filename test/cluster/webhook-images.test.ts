import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { podWith, pullSecretsOf, type PodObject } from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";

const PUBLIC = "public.example.com/app:v1";
const PRIVATE = "registry.example.com/team-a/tool:v1";

await describeLevel("control-plane", "a private image", () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startCluster();
    webhook = await startWebhook(cluster, {
      registries: [
        { name: "team-a", address: "registry.example.com/team-a" },
        { name: "old", address: "moving.example.com" },
        { name: "new", address: "moving.example.com" },
        { name: "any", address: "*.example.org" },
      ],
    });
    await createNamespace(cluster.kubectl, "team-a", { "pullpass.dev/inject": "enabled" });
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  const secretsOf = async (image: string, spec: object = {}, metadata: object = {}) =>
    pullSecretsOf(
      await cluster.kubectl.create<PodObject>(
        podWith(image, { generateName: "app-", namespace: "team-a", ...metadata }, spec),
      ),
    );

  it.each([
    ["of a container", { containers: [{ name: "main", image: PRIVATE }] }],
    ["of an init container", { initContainers: [{ name: "first", image: PRIVATE }] }],
    ["of a sidecar", { initContainers: [{ name: "beside", image: PRIVATE, restartPolicy: "Always" }] }],
    ["mounted as a volume", { volumes: [{ name: "data", image: { reference: PRIVATE } }] }],
    [
      "used in every place",
      {
        containers: [{ name: "main", image: PRIVATE }],
        initContainers: [{ name: "first", image: PRIVATE }],
        volumes: [{ name: "data", image: { reference: PRIVATE } }],
      },
    ],
  ])("%s gives the pod its secret once", async (_title, spec) => {
    expect(await secretsOf(PUBLIC, spec)).toEqual(["pullpass-team-a"]);
  });

  it("of a registry that is written down twice gives the pod both secrets, in that order", async () => {
    expect(await secretsOf("moving.example.com/app:v1")).toEqual(["pullpass-old", "pullpass-new"]);
  });

  it("of a host that a * covers gives the pod its secret", async () => {
    expect(await secretsOf("eu.example.org/app@sha256:" + "0".repeat(64))).toEqual(["pullpass-any"]);
  });

  it("of several registries gives the pod all of their secrets, in the configuration's order", async () => {
    const containers = ["us.example.org/app", PUBLIC, PRIVATE].map((image, index) => ({
      name: `main-${String(index)}`,
      image,
    }));
    expect(await secretsOf(PUBLIC, { containers })).toEqual(["pullpass-team-a", "pullpass-any"]);
  });

  it("that is debugged with later can be prepared for by an annotation", async () => {
    const annotations = { "pullpass.dev/registries": "team-a" };
    expect(await secretsOf(PUBLIC, {}, { annotations })).toEqual(["pullpass-team-a"]);
  });

  it("is needed for a secret: a pod of public images has none", async () => {
    expect(await secretsOf(PUBLIC)).toEqual([]);
  });
});
