import { beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { runPullpass } from "../cli/run-pullpass.ts";
import { installManifest, rightsOf } from "./harness/chart.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass, PULLPASS_NAMESPACE, type Installation } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { waitForCopies } from "./harness/read-copies.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { waitUntil } from "../wait-until.ts";

const LEFT =
  "left alone, because Pullpass did not write them, although they have the label app.kubernetes.io/managed-by=pullpass: pullpass/source\n";

interface Account {
  readonly metadata: { readonly annotations?: object };
  readonly imagePullSecrets?: object;
}

await describeLevel("control-plane", "pullpass purge", () => {
  let cluster: Cluster;
  let client: Transport;
  let installation: Installation;
  let replica: Replica;

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    const auth = { type: "BasicAuth", username: "user", password: "made-up-1" };
    installation = await installPullpass(cluster, {
      registries: [{ name: "hub", address: "registry.example.com", auth, use: ["pull"] }],
      serviceAccounts: { attach: ["default"] },
    });
    const { kubectl } = cluster;
    // The rights are there by then.
    const outside = (await installManifest()).filter(({ kind = "" }) =>
      /Webhook|AdmissionPolicy|ClusterRole$/.test(kind),
    );
    await kubectl.apply(...outside);
    replica = await installation.startReplica({ certificate: "self-managed" });
    await leaderOf(replica);
    for (const name of ["a", "b"]) await createNamespace(kubectl, name, { "pullpass.dev/inject": "enabled" });
    await kubectl.run(["create", "secret", "generic", "theirs", "--namespace=a"]);
    // Somebody copied a copy.
    await kubectl.run(["create", "secret", "generic", "source", "--namespace=pullpass"]);
    const theirs = JSON.stringify({ imagePullSecrets: [{ name: "theirs" }] });
    await kubectl.run(["patch", "serviceaccount", "default", "--namespace=a", `--patch=${theirs}`]);
    for (const name of ["a", "b"]) {
      await waitForCopies(client, name, {
        "pullpass-hub": { "registry.example.com": "user:made-up-1" },
      });
      await kubectl.waitFor<Account>(["serviceaccount", "default", `--namespace=${name}`], isAttached);
    }
  });

  const purge = () =>
    runPullpass(["purge", "--yes", `--kubeconfig=${cluster.kubeconfig}`, "--namespace=pullpass"], ".");
  const names = async (...args: readonly string[]) => {
    const { stdout } = await cluster.kubectl.run(["get", ...args, "--output=name"]);
    return stdout.split("\n").filter((line) => line !== "");
  };

  const restoreRights = async () => cluster.kubectl.apply(...(await rightsOf()));

  it("leaves nothing of Pullpass in the cluster, and everything of others", async () => {
    await replica.stop();
    await cluster.kubectl.run([
      ...["label", "secret", "source", "--namespace=pullpass", "app.kubernetes.io/managed-by=pullpass"],
    ]);
    expect(purge()).toEqual({
      stdout: "removed 2 copies, and took pull secrets off 2 ServiceAccounts\n",
      stderr: LEFT,
      status: 0,
    });
    expect(await names("secrets", "--all-namespaces")).toEqual(["secret/theirs", "secret/source"]);
    const kinds =
      "mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings," +
      "clusterroles,clusterrolebindings";
    expect((await names(kinds)).filter((name) => name.includes("pullpass"))).toEqual([]);
    expect(await names("leases", `--namespace=${PULLPASS_NAMESPACE}`)).toEqual([]);
    const accountOf = (namespace: string) =>
      cluster.kubectl.json<Account>("get", "serviceaccount", "default", `--namespace=${namespace}`);
    const account = await accountOf("a");
    expect(account.imagePullSecrets).toEqual([{ name: "theirs" }]);
    expect(account.metadata.annotations).toBeUndefined();
    expect((await accountOf("b")).imagePullSecrets).toBeUndefined();
  });

  it("finds nothing to do the second time", () => {
    expect(purge()).toMatchObject({
      stdout: "removed 0 copies, and took pull secrets off 0 ServiceAccounts\n",
      stderr: LEFT,
      status: 0,
    });
  });

  it("says so where Pullpass is still running", async () => {
    await cluster.kubectl.run(["delete", "secret", "source", "--namespace=pullpass"]);
    await restoreRights();
    await replica.start();
    await leaderOf(replica);
    await waitUntil("a copy to come back before the purge has ended", async () => {
      const { status, stderr } = purge();
      if (status === 1) return stderr.includes("is Pullpass still running?");
      // It was the last thing that this one could do.
      await restoreRights();
      return false;
    });
    await replica.stop();
  });
});

function isAttached({ imagePullSecrets = [] }: Account): boolean {
  return JSON.stringify(imagePullSecrets).includes("pullpass-hub");
}
