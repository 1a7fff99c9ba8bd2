import { afterAll, beforeAll, expect, it } from "vitest";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { podSpec, podWith, pullSecretsOf, WORKLOADS, type PodList, type PodObject } from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";

const IMAGE = "registry.example.com/team-a/app:v1";
const OPTED_IN = "team-a";
/** Without the label, with another value, and labelled but kept out by name. */
const NOT_OPTED_IN = ["team-b", "team-c", "kube-system"];

await describeLevel("control-plane", "the namespaces that opted in, and no others", () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await borrowCluster();
    const { kubectl } = cluster;
    webhook = await startWebhook(cluster, {
      registries: [{ name: "team-a", address: "registry.example.com/team-a", secretName: "regcred" }],
    });
    await createNamespace(kubectl, "team-a", { "pullpass.dev/inject": "enabled" });
    await createNamespace(kubectl, "team-b");
    await createNamespace(kubectl, "team-c", { "pullpass.dev/inject": "disabled" });
    await kubectl.run(["label", "namespace", "kube-system", "pullpass.dev/inject=enabled"]);
    // Without a node there are no pods of DaemonSets.
    await kubectl.create({ apiVersion: "v1", kind: "Node", metadata: { name: "of-nothing" } });
  });
  afterAll(async () => {
    await webhook.stop();
  });

  type Make = (namespace: string) => Promise<readonly PodObject[]>;

  async function expectSecretsWhereOptedIn(make: Make): Promise<void> {
    const [optedIn = [], ...others] = await Promise.all([OPTED_IN, ...NOT_OPTED_IN].map(make));
    expect(optedIn.length).toBeGreaterThan(0);
    for (const pod of optedIn) expect(pullSecretsOf(pod)).toEqual(["regcred"]);
    for (const pods of others) {
      expect(pods.length).toBe(optedIn.length);
      for (const pod of pods) expect(pullSecretsOf(pod)).toEqual([]);
    }
  }

  async function podsOf(workload: string, namespace: string, count: number): Promise<readonly PodObject[]> {
    const query = ["pods", `--namespace=${namespace}`, `--selector=app=${workload}`];
    const list = await cluster.kubectl.waitFor<PodList>(query, ({ items }) => items.length === count);
    return list.items;
  }

  it("have a secret in a pod by kubectl run", () =>
    expectSecretsWhereOptedIn(async (namespace) => [
      await cluster.kubectl.json("run", "ran", `--image=${IMAGE}`, `--namespace=${namespace}`),
    ]));

  it("have a secret in a pod whose name the API server makes", () =>
    expectSecretsWhereOptedIn(async (namespace) => [
      await cluster.kubectl.create(podWith(IMAGE, { generateName: "generated-", namespace })),
    ]));

  it.each(["client", "server"])("have a secret in an applied pod, which the next apply leaves (%s)", (side) =>
    expectSecretsWhereOptedIn(async (namespace) => {
      const manifest = JSON.stringify(podWith(IMAGE, { name: `applied-by-${side}`, namespace }));
      const apply = async () => {
        const args = ["apply", `--server-side=${String(side === "server")}`, "--filename=-", "--output=json"];
        return JSON.parse((await cluster.kubectl.run(args, manifest)).stdout) as PodObject;
      };
      const first = await apply();
      expect(await apply()).toEqual(first);
      return [first];
    }),
  );

  it("have a secret in what --dry-run=server shows, and keep nothing of it", () =>
    expectSecretsWhereOptedIn(async (namespace) => {
      const shown = await cluster.kubectl.create<PodObject>(
        podWith(IMAGE, { name: "dry", namespace }),
        "--dry-run=server",
      );
      const get = cluster.kubectl.json("get", "pod", "dry", `--namespace=${namespace}`);
      await expect(get).rejects.toThrow(/NotFound/);
      return [shown];
    }));

  it.each([
    ["Deployment", 2],
    ["StatefulSet", 2],
    ["DaemonSet", 1],
    ["Job", 2],
  ] as const)("have a secret in the pods of a %s", (kind, count) =>
    expectSecretsWhereOptedIn(async (namespace) => {
      const name = `by-${kind.toLowerCase()}`;
      await cluster.kubectl.create(WORKLOADS[kind](name, podSpec(IMAGE)), `--namespace=${namespace}`);
      return podsOf(name, namespace, count);
    }),
  );

  it("have a secret in the pods of a CronJob, whether its time has come or somebody starts it", () =>
    expectSecretsWhereOptedIn(async (namespace) => {
      const { kubectl } = cluster;
      const inNamespace = `--namespace=${namespace}`;
      await kubectl.create(WORKLOADS.CronJob("cron", podSpec(IMAGE)), inNamespace);
      await kubectl.run(["create", "job", "by-hand", "--from=cronjob/cron", inNamespace]);
      await podsOf("cron", namespace, 1);
      // One that last ran an hour ago is late, and is started at once.
      const lastScheduleTime = new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+Z/, "Z");
      const status = JSON.stringify({ status: { lastScheduleTime } });
      await kubectl.run(
        ["patch", "cronjob", "cron", "--subresource=status", "--type=merge"].concat(
          `--patch=${status}`,
          inNamespace,
        ),
      );
      return podsOf("cron", namespace, 2);
    }));

  it("are looked up again for every pod: the label counts when it comes and when it goes", async () => {
    const { kubectl } = cluster;
    await createNamespace(kubectl, "undecided");
    const secrets = async () => {
      const pod = podWith(IMAGE, { name: "asks", namespace: "undecided" });
      return pullSecretsOf(await kubectl.create<PodObject>(pod, "--dry-run=server"));
    };
    expect(await secrets()).toEqual([]);
    // The API server learns of a label a moment after it has stored it.
    await kubectl.run(["label", "namespace", "undecided", "pullpass.dev/inject=enabled"]);
    await waitUntil("the label to count", async () => (await secrets()).join() === "regcred");
    await kubectl.run(["label", "namespace", "undecided", "pullpass.dev/inject-"]);
    await waitUntil("the label not to count", async () => (await secrets()).length === 0);
  });

  it("are the only ones whose pods the webhook is asked about", async () => {
    // The log is in order, and this pod was the last but one.
    await waitUntil("the log to be written", async () =>
      (await webhook.reviews(OPTED_IN)).some(({ owner }) => owner === "Job/by-hand"),
    );
    for (const namespace of NOT_OPTED_IN) expect(await webhook.reviews(namespace)).toEqual([]);
  });
});
