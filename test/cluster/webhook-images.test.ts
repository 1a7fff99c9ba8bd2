import { afterAll, beforeAll, expect, it } from "vitest";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { podWith, pullSecretsOf, type PodObject } from "./harness/pods.ts";
import { allow, startScriptedWebhook, type ScriptedWebhook } from "./harness/scripted-webhook.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";
import { awaitWebhooks, webhookConfiguration } from "./harness/webhook-configuration.ts";

const PUBLIC = "public.example.com/app:v1";
const SIDECAR = { name: "proxy", image: "registry.example.com/mesh/proxy:v1" };
const PRIVATE = "registry.example.com/team-a/tool:v1";

await describeLevel("control-plane", "a private image", () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;
  /** Adds a container to every pod that it is asked about. */
  let mesh: ScriptedWebhook;

  beforeAll(async () => {
    cluster = await borrowCluster();
    webhook = await startWebhook(cluster, {
      registries: [
        { name: "team-a", address: "registry.example.com/team-a" },
        { name: "mesh", address: "registry.example.com/mesh" },
        { name: "old", address: "moving.example.com" },
        { name: "new", address: "moving.example.com" },
        { name: "any", address: "*.example.org" },
      ],
    });
    await createNamespace(cluster.kubectl, "team-a", { "pullpass.dev/inject": "enabled" });
    mesh = await startScriptedWebhook(cluster, "mesh", {
      "/inject": (response, { request: { uid, object } }) => {
        const isThere = object.spec.containers.some(({ name }) => name === SIDECAR.name);
        const patch = [{ op: "add", path: "/spec/containers/-", value: SIDECAR }];
        allow(response, uid, isThere ? [] : patch);
      },
    });
  });
  afterAll(async () => {
    await mesh.stop();
    await webhook.stop();
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

  /*
   * name of the other | called first | then              | last, because the pod has changed since
   * a-mesh            | mesh         | Pullpass: both    | Pullpass: nothing left to do
   * z-mesh            | Pullpass: one| mesh              | Pullpass: the other one
   */
  it.each([
    ["before", "a-mesh", [{ registries: ["team-a", "mesh"] }, { reason: "already-present" }]],
    ["after", "z-mesh", [{ registries: ["team-a"] }, { registries: ["mesh"] }]],
  ])(
    "of a container that a webhook adds which is called %s Pullpass gives the pod its secret, and a warning, once",
    async (_order, name, reviews) => {
      const { kubectl, authority } = cluster;
      await kubectl.apply(
        webhookConfiguration({
          name,
          path: "/inject",
          service: { namespace: "mesh", name: "mesh", port: mesh.service.port },
          authorityPem: authority.pem,
          failurePolicy: "Fail",
        }),
      );
      await awaitWebhooks(kubectl);
      await createNamespace(kubectl, `with-${name}`, { "pullpass.dev/inject": "enabled" });
      const pod = await kubectl.create<PodObject>(
        podWith("registry.example.com/team-a/app:v1", { name: "app", namespace: `with-${name}` }),
      );
      expect(pod.spec.containers.map((container) => container.name)).toEqual(["main", "proxy"]);
      expect(pullSecretsOf(pod)).toEqual(["pullpass-team-a", "pullpass-mesh"]);
      expect(pod.metadata.annotations).toHaveProperty(["pullpass.dev/injected"], "team-a,mesh");
      await waitUntil("the log to be written", async () => {
        expect(await webhook.reviews(`with-${name}`)).toMatchObject(reviews);
        return true;
      });
      // Asked twice, we warn twice, and the person sees it once.
      const odd = podWith("NO/IMAGE", { name: "odd", namespace: `with-${name}` });
      const { stderr } = await kubectl.run(["create", "--filename=-"], JSON.stringify(odd));
      expect(stderr.match(/Warning: .*/g)).toEqual([
        "Warning: spec.containers[0].image: not an image reference: the repository has to be lower case",
      ]);
      await kubectl.run(["delete", "mutatingwebhookconfiguration", name]);
      await awaitWebhooks(kubectl);
    },
  );
});
