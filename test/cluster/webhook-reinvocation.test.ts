import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { podWith, pullSecretsOf, type PodObject } from "./harness/pods.ts";
import { allow, startScriptedWebhook, type ScriptedWebhook } from "./harness/scripted-webhook.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "./harness/wait-until.ts";
import { awaitWebhooks, webhookConfiguration } from "./harness/webhook-configuration.ts";

const SIDECAR = { name: "proxy", image: "registry.example.com/mesh/proxy:v1" };

await describeLevel("control-plane", "another webhook that adds a container with a private image", () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;
  let mesh: ScriptedWebhook;

  beforeAll(async () => {
    cluster = await startCluster();
    webhook = await startWebhook(cluster, {
      registries: [
        { name: "team-a", address: "registry.example.com/team-a" },
        { name: "mesh", address: "registry.example.com/mesh" },
      ],
    });
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
    await cluster.stop();
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
    "may be called %s Pullpass: each secret, and each warning, is there once",
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
