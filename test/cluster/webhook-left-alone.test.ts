import { afterAll, beforeAll, expect, it } from "vitest";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { podWith, pullSecretsOf, type PodObject } from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";
import { withoutFilters } from "./harness/webhook-configuration.ts";

const IMAGE = "registry.example.com/team-a/app:v1";

// No filter of the API server helps here: what is left alone is left alone by the webhook's own decision.
await describeLevel("control-plane", "a webhook that is asked about everything", () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await borrowCluster();
    webhook = await startWebhook(cluster, {
      registries: [{ name: "team-a", address: "registry.example.com/team-a", secretName: "regcred" }],
      register: withoutFilters,
    });
  });
  afterAll(async () => {
    await webhook.stop();
  });

  /** A namespace of its own for each test, by which its reviews are found. */
  async function inNewNamespace(namespace: string, labels = { "pullpass.dev/inject": "enabled" }) {
    const { kubectl } = cluster;
    await createNamespace(kubectl, namespace, labels);
    const option = `--namespace=${namespace}`;
    return {
      run: (...args: readonly string[]) => kubectl.run([...args, option]),
      pod: (name: string) => kubectl.json<PodObject>("get", "pod", name, option),
      create: (metadata: object, spec: object = {}) =>
        kubectl.create<PodObject>(podWith(IMAGE, { namespace, ...metadata }, spec)),
      post: (pod: string, subresource: string, object: object) =>
        kubectl.run(
          ["create", "--filename=-", `--raw=/api/v1/namespaces/${namespace}/pods/${pod}/${subresource}`],
          JSON.stringify(object),
        ),
      /** Waits for a review that was skipped for that reason. */
      expectReview: (reason: string) =>
        waitUntil(`a review with the reason ${reason}`, async () =>
          (await webhook.reviews(namespace)).some((review) => review.reason === reason),
        ),
    };
  }

  it("takes the API server's word that a namespace opted in, since it asks only where the label is", async () => {
    const { create } = await inNewNamespace("not-opted-in", { "pullpass.dev/inject": "no" });
    expect(pullSecretsOf(await create({ name: "app" }))).toEqual(["regcred"]);
  });

  it("names its secret after those of the service account", async () => {
    const { run, create } = await inNewNamespace("account");
    const secrets = JSON.stringify({ imagePullSecrets: [{ name: "first" }, { name: "second" }] });
    await run("patch", "serviceaccount", "default", `--patch=${secrets}`);
    expect(pullSecretsOf(await create({ name: "app" }))).toEqual(["first", "second", "regcred"]);
  });

  it.each([
    [["own"], ["own", "regcred"]],
    [
      ["regcred", "own"],
      ["regcred", "own"],
    ],
    [[undefined], [undefined, "regcred"]],
  ])("names its secret after the pod's own %j, unless it is there already", async (own, expected) => {
    const { create } = await inNewNamespace(`own-${own.map((name) => name ?? "nameless").join("-")}`);
    const pod = await create({ name: "app" }, { imagePullSecrets: own.map((name) => ({ name })) });
    expect(pullSecretsOf(pod)).toEqual(expected);
  });

  it("leaves a pod that opted out", async () => {
    const { create, expectReview } = await inNewNamespace("opted-out");
    const labels = { "pullpass.dev/inject": "disabled" };
    expect(pullSecretsOf(await create({ name: "app", labels }))).toEqual([]);
    await expectReview("pod-opted-out");
  });

  it("leaves a mirror pod, which may not name secrets", async () => {
    const { create, expectReview } = await inNewNamespace("mirror");
    const annotations = { "kubernetes.io/config.mirror": "0123456789abcdef" };
    const mirror = { nodeName: "of-nothing", automountServiceAccountToken: false };
    expect(pullSecretsOf(await create({ name: "app", annotations }, mirror))).toEqual([]);
    await expectReview("mirror-pod");
  });

  it("leaves updates of a pod that lacks a secret: labels, finalizers, images", async () => {
    const { create, run, pod, expectReview } = await inNewNamespace("updates");
    await create({ name: "app", labels: { "pullpass.dev/inject": "disabled" } });
    await run("label", "pod", "app", "pullpass.dev/inject-", "tier=web");
    await run("patch", "pod", "app", '--patch={"metadata":{"finalizers":["example.com/last"]}}');
    await run("set", "image", "pod/app", "main=registry.example.com/team-a/app:v2");
    const updated = await pod("app");
    expect(updated.spec.containers[0]?.image).toBe("registry.example.com/team-a/app:v2");
    expect(pullSecretsOf(updated)).toEqual([]);
    await run("delete", "pod", "app", "--wait=false");
    await run("patch", "pod", "app", '--patch={"metadata":{"finalizers":null}}');
    await expect(pod("app")).rejects.toThrow(/NotFound/);
    await expectReview("not-a-create");
  });

  it("leaves a container that is added to a running pod for debugging", async () => {
    const { create, run, pod, expectReview } = await inNewNamespace("debug");
    await create({ name: "app" });
    await run("debug", "app", "--image=registry.example.com/team-a/tool:v1", "--container=tool");
    const debugged = await pod("app");
    expect(debugged.spec).toHaveProperty(["ephemeralContainers", 0, "name"], "tool");
    expect(pullSecretsOf(debugged)).toEqual(["regcred"]);
    await expectReview("not-a-create");
  });

  it("leaves bindings, statuses, evictions and deletions", async () => {
    const { create, post, run, pod, expectReview } = await inNewNamespace("life");
    for (const name of ["bound", "evicted", "deleted"]) await create({ name });
    const target = { apiVersion: "v1", kind: "Node", name: "of-nothing" };
    await post("bound", "binding", {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: "bound" },
      target,
    });
    expect((await pod("bound")).spec).toHaveProperty("nodeName", "of-nothing");
    await run("patch", "pod", "bound", "--subresource=status", '--patch={"status":{"phase":"Running"}}');
    expect((await pod("bound")).status?.phase).toBe("Running");
    await run("delete", "pod", "bound", "--force", "--grace-period=0");

    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "evicted" } };
    await post("evicted", "eviction", eviction);
    await run("delete", "pod", "deleted");
    for (const name of ["bound", "evicted", "deleted"]) {
      await expect(pod(name)).rejects.toThrow(/NotFound/);
    }
    await expectReview("not-a-pod");
    await expectReview("not-a-create");
  });
});
