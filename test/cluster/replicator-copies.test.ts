import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { auditedRequests, auditedWrites } from "./harness/audit.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { copiesIn, waitForCopies, type CopyContent, type SecretObject } from "./harness/read-copies.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { waitUntil } from "../wait-until.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const PLAIN: CopyContent = { "registry.example.com/plain": "plain:made-up-1" };
const TEAM_A: CopyContent = { "registry.example.com/team-a": "team-a:made-up-2" };
/** What every opted-in namespace has; builders also look for the host alone. */
const COPIES = {
  "pullpass-plain": PLAIN,
  "pullpass.build": { ...PLAIN, "registry.example.com": "plain:made-up-1" },
};
const CONFIGURATION = {
  registries: [
    {
      name: "plain",
      address: "registry.example.com/plain",
      auth: { type: "BasicAuth", username: "plain", password: "made-up-1" },
    },
    {
      name: "team-a",
      address: "registry.example.com/team-a",
      auth: { type: "BasicAuth", username: "team-a", password: "made-up-2" },
      namespaces: { matchLabels: { team: "a" } },
      use: ["pull"],
      secretName: "regcred",
    },
    { name: "kept-by-admin", address: "docker.io", secretName: "hub-creds" },
  ],
};
/** In which a write that should not be would come. */
const QUIET_MS = 300;

await describeLevel("control-plane", "the copies of a namespace", () => {
  let cluster: Cluster;
  let client: Transport;
  let replica: Replica;

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    replica = await (await installPullpass(cluster, CONFIGURATION)).startReplica();
    await leaderOf(replica);
  });
  afterAll(async () => {
    await replica.stop();
  });

  const run = (...args: readonly string[]) => cluster.kubectl.run(args);
  const label = (namespace: string, ...labels: readonly string[]) =>
    run("label", "namespace", namespace, "--overwrite", ...labels);
  const writesIn = async (namespace: string) => {
    await sleep(QUIET_MS);
    return (await auditedWrites(cluster, namespace)).toSorted();
  };
  async function createWithCopies(namespace: string, labels: Readonly<Record<string, string>> = {}) {
    await createNamespace(cluster.kubectl, namespace, { ...OPTED_IN, ...labels });
    return waitForCopies(client, namespace, { ...COPIES, ...("team" in labels ? { regcred: TEAM_A } : {}) });
  }
  const uidsOf = (copies: Readonly<Record<string, SecretObject>>) =>
    Object.values(copies).map(({ metadata }) => metadata.uid);
  const createSecret = (namespace: string, name: string, type: string, labels: object = {}) =>
    cluster.kubectl.create<SecretObject>({
      apiVersion: "v1",
      kind: "Secret",
      type,
      metadata: { name, namespace, labels },
      stringData: { theirs: "made-up" },
    });
  const getSecret = (namespace: string, name: string) =>
    cluster.kubectl.json<SecretObject>("get", "secret", name, `--namespace=${namespace}`);

  it("are those of the registries that it may have, each written once", async () => {
    await createWithCopies("labelled");
    expect(await writesIn("labelled")).toEqual([
      "create secrets labelled/pullpass-plain",
      "create secrets labelled/pullpass.build",
    ]);
    await createWithCopies("labelled-a", { team: "a" });
    expect(await writesIn("labelled-a")).toHaveLength(3);
  });

  it("are pull secrets that say whose they are, and keep GitOps tools from removing them", async () => {
    const { "pullpass.build": copy } = await createWithCopies("marked");
    expect(copy?.type).toBe("kubernetes.io/dockerconfigjson");
    expect(copy?.metadata.labels).toEqual({ "app.kubernetes.io/managed-by": "pullpass" });
    expect(copy?.metadata.annotations).toEqual({
      "pullpass.dev/registries": "plain",
      "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
      "argocd.argoproj.io/sync-options": "Prune=false",
    });
  });

  it("are not there without the label, and come and go with it", async () => {
    await createNamespace(cluster.kubectl, "unlabelled");
    expect(await writesIn("unlabelled")).toEqual([]);
    await label("unlabelled", "pullpass.dev/inject=enabled");
    await waitForCopies(client, "unlabelled", COPIES);
    await label("unlabelled", "pullpass.dev/inject-");
    await waitForCopies(client, "unlabelled", {});
    expect(await writesIn("unlabelled")).toHaveLength(4);
    const lines = (await replica.log()).filter(({ namespace }) => namespace === "unlabelled");
    expect(lines.map(({ msg, copies }) => [msg, copies])).toEqual([
      ["namespace opted in: copies are in place", 2],
      ["namespace opted out: copies are removed", 2],
    ]);
  });

  it("are not there with another value of the label, and an event in the namespace says so", async () => {
    await createNamespace(cluster.kubectl, "mistaken", { "pullpass.dev/inject": "true" });
    const events = () => run("events", "--namespace=mistaken", "--for=namespace/mistaken", "--no-headers");
    await waitUntil("the event", async () => (await events()).stdout.includes("Warning"));
    await label("mistaken", "team=b");
    expect(await writesIn("mistaken")).toEqual([]);
    const lines = (await events()).stdout.trim().split("\n");
    expect(lines).toEqual([
      expect.stringMatching(
        /Warning +InjectLabelHasNoEffect +Namespace\/mistaken +The label pullpass.dev\/inject=true has no effect\. To opt the namespace in, set it to "enabled"\.$/,
      ),
    ]);
  });

  it("follow the labels that a registry asks for", async () => {
    await createWithCopies("moving");
    await label("moving", "team=a");
    await waitForCopies(client, "moving", { ...COPIES, regcred: TEAM_A });
    await label("moving", "team=b");
    await waitForCopies(client, "moving", COPIES);
    expect(await writesIn("moving")).toHaveLength(4);
  });

  it("stay as they are when another namespace, or another label of theirs, changes", async () => {
    await createWithCopies("quiet", { team: "a" });
    await createNamespace(cluster.kubectl, "neighbour");
    await label("neighbour", "pullpass.dev/inject=enabled", "team=a");
    await waitForCopies(client, "neighbour", { ...COPIES, regcred: TEAM_A });
    await label("quiet", "stage=production");
    expect(await writesIn("quiet")).toHaveLength(3);
  });

  it("are put back after an edit and a deletion by hand, in place where that can be", async () => {
    const before = await createWithCopies("edited");
    const option = "--namespace=edited";
    const document = Buffer.from('{"auths":{"elsewhere.example.com":{"auth":"bWFkZTp1cA=="}}}').toString(
      "base64",
    );
    await run(
      "patch",
      "secret",
      "pullpass-plain",
      option,
      `--patch={"data":{".dockerconfigjson":"${document}"}}`,
    );
    await waitForCopies(client, "edited", COPIES);
    await run("annotate", "secret", "pullpass-plain", option, "argocd.argoproj.io/sync-options-");
    await waitUntil("the annotation to be put back", async () => {
      const { metadata } = await getSecret("edited", "pullpass-plain");
      return metadata.annotations?.["argocd.argoproj.io/sync-options"] === "Prune=false";
    });
    expect(uidsOf(await copiesIn(client, "edited"))).toEqual(uidsOf(before));
    await run("delete", "secret", "pullpass.build", option);
    await waitForCopies(client, "edited", COPIES);
    expect((await writesIn("edited")).slice(-2)).toEqual([
      "patch secrets edited/pullpass-plain",
      "patch secrets edited/pullpass-plain",
    ]);
    expect(await writesIn("edited")).toHaveLength(5);
  });

  it("keep labels and annotations that a person added", async () => {
    await createWithCopies("decorated");
    await run("label", "secret", "pullpass-plain", "--namespace=decorated", "owner=somebody");
    await run(
      "patch",
      "secret",
      "pullpass-plain",
      "--namespace=decorated",
      '--patch={"data":{"more":"bW9yZQ=="}}',
    );
    expect(await writesIn("decorated")).toHaveLength(2);
    expect((await getSecret("decorated", "pullpass-plain")).metadata.labels).toEqual({
      "app.kubernetes.io/managed-by": "pullpass",
      owner: "somebody",
    });
  });

  it("that were made immutable stay while they are right, and are replaced when they are not", async () => {
    const { "pullpass-plain": before } = await createWithCopies("frozen");
    const option = "--namespace=frozen";
    await run("patch", "secret", "pullpass-plain", option, '--patch={"immutable":true}');
    expect(await writesIn("frozen")).toHaveLength(2);
    await run("annotate", "secret", "pullpass-plain", option, "--overwrite", "pullpass.dev/registries=other");
    await waitUntil("it to be replaced", async () => {
      const { metadata } = await getSecret("frozen", "pullpass-plain");
      return metadata.uid !== before?.metadata.uid;
    });
    await waitForCopies(client, "frozen", COPIES);
  });

  it("of another type are replaced", async () => {
    await createNamespace(cluster.kubectl, "typed");
    await createSecret("typed", "pullpass-plain", "Opaque", { "app.kubernetes.io/managed-by": "pullpass" });
    await label("typed", "pullpass.dev/inject=enabled");
    await waitUntil("it to be replaced", async () => {
      const { type } = await getSecret("typed", "pullpass-plain");
      return type === "kubernetes.io/dockerconfigjson";
    });
    await waitForCopies(client, "typed", COPIES);
    expect(await writesIn("typed")).toEqual([
      "create secrets typed/pullpass-plain",
      "create secrets typed/pullpass.build",
      "delete secrets typed/pullpass-plain",
    ]);
  });

  it("leave a Secret of others alone that has the name of one, and tell people", async () => {
    await createNamespace(cluster.kubectl, "taken");
    const theirs = await createSecret("taken", "pullpass-plain", "Opaque", { owner: "somebody" });
    await label("taken", "pullpass.dev/inject=enabled");
    await waitForCopies(client, "taken", { "pullpass.build": COPIES["pullpass.build"] });
    await waitUntil("the event", async () => {
      const { stdout } = await run("events", "--for=secret/pullpass-plain", "--namespace=taken");
      return /Warning +SecretNotOurs .*Secret pullpass-plain was not created by Pullpass and is left/.test(
        stdout,
      );
    });
    expect(await replica.metric("pullpass_blocked_namespaces")).toBe(1);
    expect(await getSecret("taken", "pullpass-plain")).toEqual(theirs);
    await label("taken", "pullpass.dev/inject-");
    await waitForCopies(client, "taken", {});
    expect(await getSecret("taken", "pullpass-plain")).toEqual(theirs);
    expect(await replica.metric("pullpass_blocked_namespaces")).toBe(0);
  });

  it("are ours no more once a person takes our label off them", async () => {
    await createWithCopies("released");
    await run("label", "secret", "pullpass-plain", "--namespace=released", "app.kubernetes.io/managed-by-");
    await waitUntil(
      "it to be in the way",
      async () => (await replica.metric("pullpass_blocked_namespaces")) === 1,
    );
    const theirs = await getSecret("released", "pullpass-plain");
    await label("released", "pullpass.dev/inject-");
    await waitForCopies(client, "released", {});
    expect(await getSecret("released", "pullpass-plain")).toEqual(theirs);
  });

  it("are made as soon as the Secret in their way is gone and somebody touches the namespace", async () => {
    await createNamespace(cluster.kubectl, "freed");
    await createSecret("freed", "pullpass-plain", "Opaque");
    await label("freed", "pullpass.dev/inject=enabled");
    await waitUntil(
      "it to be in the way",
      async () => (await replica.metric("pullpass_blocked_namespaces")) === 1,
    );
    await run("delete", "secret", "pullpass-plain", "--namespace=freed");
    await label("freed", "again=yes");
    await waitForCopies(client, "freed", COPIES);
    expect(await replica.metric("pullpass_blocked_namespaces")).toBe(0);
  });

  it("do not count as in the way any more in a namespace that is gone", async () => {
    await createNamespace(cluster.kubectl, "short-lived");
    await createSecret("short-lived", "pullpass-plain", "Opaque");
    await label("short-lived", "pullpass.dev/inject=enabled");
    await waitUntil(
      "it to be in the way",
      async () => (await replica.metric("pullpass_blocked_namespaces")) === 1,
    );
    await run("delete", "namespace", "short-lived");
    await waitUntil(
      "it to be forgotten",
      async () => (await replica.metric("pullpass_blocked_namespaces")) === 0,
    );
  });

  it("are not written into a namespace that is on its way out", async () => {
    await createWithCopies("leaving");
    const option = "--namespace=leaving";
    // The finalizer keeps the namespace on its way for as long as the test needs.
    await run("create", "configmap", "last", option);
    await run(
      "patch",
      "configmap",
      "last",
      option,
      '--patch={"metadata":{"finalizers":["example.com/last"]}}',
    );
    await run("delete", "namespace", "leaving", "--wait=false");
    // The namespace's controller removes them.
    await waitForCopies(client, "leaving", {});
    await label("leaving", "team=a");
    expect(await writesIn("leaving")).toHaveLength(2);
    expect(await replica.metric("pullpass_reconcile_failures_total")).toBe(0);
  });

  it("come to each of fifty namespaces that opt in at once, each written once", async () => {
    const names = Array.from({ length: 50 }, (_, index) => `many-${String(index)}`);
    const manifests = names.map((name) => ({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, labels: OPTED_IN },
    }));
    await cluster.kubectl.apply(...manifests);
    await Promise.all(names.map((name) => waitForCopies(client, name, COPIES, { intervalMs: 250 })));
    await sleep(QUIET_MS);
    const writes = (await auditedWrites(cluster)).filter((write) => write.includes(" many-"));
    expect([writes.length, new Set(writes).size]).toEqual([100, 100]);
  });

  it("are not written again by a restart", async () => {
    const before = await auditedWrites(cluster);
    await replica.stop();
    await replica.start();
    await leaderOf(replica);
    await waitUntil(
      "nothing to be left to do",
      async () => (await replica.metric("pullpass_queue_depth")) === 0,
    );
    await sleep(2 * QUIET_MS);
    expect(await auditedWrites(cluster)).toEqual(before);
  });

  it("took no right that Pullpass does not have", async () => {
    const refused = (await auditedRequests(cluster)).filter(({ status }) => status === 401 || status === 403);
    // A namespace that is being deleted refuses writes, also those that were started before.
    expect(refused.filter(({ verb }) => verb !== "create")).toEqual([]);
  });
});
