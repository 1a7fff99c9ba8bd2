import { afterAll, beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { podWith } from "./harness/pods.ts";
import { waitForCopies } from "./harness/read-copies.ts";
import { mountsOf, type BuildPod } from "./harness/run-build.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";

const KANIKO = "gcr.io/kaniko-project/executor:v1.24.0";
const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const MOUNT = { name: "pullpass-build", mountPath: "/kaniko/.docker" };
const MISSING = "Warning: container main: Secret pullpass.build is missing in its namespace, so it gets none";
const WARNING = "Warning: container main: the credentials of its registries cannot be read now";

await describeLevel("control-plane", "a build pod never waits for a build secret that does not come", () => {
  let cluster: Cluster;
  let client: Transport;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    // Both opted in before Pullpass first lists namespaces, so that nobody takes their build secret for one on its way.
    await createNamespace(cluster.kubectl, "full", OPTED_IN);
    await cluster.kubectl.create({
      ...{ apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "no-secrets", namespace: "full" } },
      spec: { hard: { "count/secrets": "0" } },
    });
    await cluster.kubectl.waitFor<{ readonly status?: { readonly hard?: object } }>(
      ["resourcequota", "no-secrets", "--namespace=full"],
      ({ status }) => status?.hard !== undefined,
    );
    await createNamespace(cluster.kubectl, "taken", OPTED_IN);
    await cluster.kubectl.create({
      ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "pullpass.build", namespace: "taken" } },
      stringData: { of: "others" },
    });
    webhook = await startWebhook(cluster, {
      registries: [
        { name: "team-a", address: "registry.example.com", auth: { type: "Secret", name: "team-a" } },
      ],
    });
    await createNamespace(cluster.kubectl, "first", OPTED_IN);
  });
  afterAll(async () => {
    await webhook.stop();
  });

  /** What the pod's container mounts, and the warnings to whoever creates it. */
  const create = async (namespace: string) => {
    const pod = podWith(
      KANIKO,
      { generateName: "build-", namespace },
      { automountServiceAccountToken: false },
    );
    const args = ["create", "--filename=-", "--output=json", "--dry-run=server"];
    const { stdout, stderr } = await cluster.kubectl.run(args, JSON.stringify(pod));
    return { mounts: mountsOf(JSON.parse(stdout) as BuildPod), warnings: stderr.trim() };
  };

  it("where its registries' credentials cannot be read, nothing is mounted, and a warning says so", async () => {
    expect(await create("first")).toEqual({ mounts: [], warnings: WARNING });
  });

  it("once they can, it is", async () => {
    await cluster.kubectl.create({
      ...{ apiVersion: "v1", kind: "Secret", type: "kubernetes.io/basic-auth" },
      metadata: { name: "team-a", namespace: "pullpass" },
      stringData: { username: "builder", password: "made-up" },
    });
    await waitForCopies(client, "first", {
      "pullpass-team-a": { "registry.example.com": "builder:made-up" },
      "pullpass.build": { "registry.example.com": "builder:made-up" },
    });
    expect(await create("first")).toEqual({ mounts: [MOUNT], warnings: "" });
  });

  it.each(["full", "taken"])("where it cannot be written (%s), nothing is mounted", async (namespace) => {
    expect(await create(namespace)).toEqual({
      mounts: [],
      warnings: MISSING,
    });
  });

  it("where somebody else's Secret has its name as the namespace opts in, nothing is mounted either", async () => {
    await createNamespace(cluster.kubectl, "late");
    await cluster.kubectl.create({
      ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "pullpass.build", namespace: "late" } },
      stringData: { of: "others" },
    });
    await cluster.kubectl.run(["label", "namespace", "late", "pullpass.dev/inject=enabled"]);
    // Well before the minute is over in which the build secret counts as on its way.
    await waitUntil("Pullpass to find that Secret", async () => (await create("late")).warnings === MISSING);
    expect((await create("late")).mounts).toEqual([]);
  });

  it("when they are lost again, it is where the build secret is already, and nowhere else", async () => {
    await cluster.kubectl.run(["delete", "secret", "team-a", "--namespace=pullpass"]);
    await createNamespace(cluster.kubectl, "second", OPTED_IN);
    // Until it knows of the loss, Pullpass writes one there, and puts it back.
    await waitUntil("a namespace without one", async () => {
      const option = "--namespace=second";
      await cluster.kubectl.run(["delete", "secret", "pullpass.build", option, "--ignore-not-found"]);
      return (await create("second")).warnings === WARNING;
    });
    expect((await create("second")).mounts).toEqual([]);
    expect(await create("first")).toEqual({ mounts: [MOUNT], warnings: "" });
  });
});
