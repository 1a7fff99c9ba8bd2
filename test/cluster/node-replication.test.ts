import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { AUDIT_FLAGS, auditedWrites } from "./harness/audit.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { podWith, pullFaultsIn, waitForRunning, type PodList, type PodObject } from "./harness/pods.ts";
import { contentOf, copiesIn, waitForCopies, type SecretObject } from "./harness/read-copies.ts";
import type { Credentials } from "./harness/registries.ts";
import { sendRequest } from "../send-request.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const BEFORE: Credentials = { username: "team-a", password: "made-up:before" };
const AFTER: Credentials = { ...BEFORE, password: "made-up:after" };
const NAMESPACES = 30;
const AT_A_TIME = 3;

await describeLevel("node", "one registry in the configuration, and a label", () => {
  let cluster: NodeCluster;
  let client: Transport;
  let webhook: RunningWebhook;
  let image: string;

  beforeAll(async () => {
    cluster = await startNodeCluster({ apiServerFlags: AUDIT_FLAGS });
    client = createTestKubeClient(cluster);
    const { passwordRegistry } = cluster;
    await passwordRegistry.setUser(BEFORE);
    image = await passwordRegistry.push("team-a/app:v1", BEFORE);
    webhook = await startWebhook(cluster, {
      registries: [
        {
          name: "team-a",
          address: `${passwordRegistry.host}/team-a`,
          auth: { type: "Secret", name: "team-a" },
          use: ["pull"],
        },
      ],
      serviceAccounts: { attach: ["default"] },
      isPod: true,
    });
    await cluster.kubectl.apply(source(BEFORE));
    await createNamespace(cluster.kubectl, "first", OPTED_IN);
    await waitForCopies(client, "first", copies(BEFORE));
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  const source = ({ username, password }: Credentials) => ({
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/basic-auth",
    metadata: { name: "team-a", namespace: "pullpass" },
    stringData: { username, password },
  });
  const copies = ({ username, password }: Credentials) => ({
    "pullpass-team-a": { [`${cluster.passwordRegistry.host}/team-a`]: `${username}:${password}` },
  });
  /** Asks the registry again for every pod, with what the pod brings. */
  const podSpec = () => ({
    containers: [{ name: "main", image, imagePullPolicy: "Always" }],
    terminationGracePeriodSeconds: 0,
  });

  it("are enough for a Pullpass that finds the API server as a pod does", async () => {
    const lease = await cluster.kubectl.json<{ readonly spec: { readonly holderIdentity: string } }>(
      ...["get", "lease", "pullpass", "--namespace=pullpass"],
    );
    expect(lease.spec.holderIdentity).toMatch(/^pullpass_/);
  });

  it(`let the first pod of ${String(NAMESPACES)} new namespaces of ${String(NAMESPACES)} pull at once`, async () => {
    const { kubectl } = cluster;
    const faults: string[] = [];
    const deploy = async (name: string) => {
      const metadata = { name: "app", namespace: name };
      const labels = { app: "app" };
      const template = { metadata: { labels }, spec: podSpec() };
      await kubectl.apply(
        { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: OPTED_IN } },
        {
          apiVersion: "apps/v1",
          kind: "Deployment",
          metadata,
          spec: { selector: { matchLabels: labels }, template },
        },
      );
      await kubectl.waitFor<PodList>(
        ["pods", `--namespace=${name}`],
        ({ items }) => items.length === 1 && items[0]?.status?.phase === "Running",
        { intervalMs: 500, timeoutMs: 90_000 },
      );
      faults.push(...(await pullFaultsIn(cluster, name)));
      await kubectl.run(["delete", "namespace", name, "--wait=false"]);
    };
    // Those of a try that failed may still be there.
    const attempt = randomUUID().slice(0, 8);
    const names = Array.from({ length: NAMESPACES }, (_, index) => `fresh-${attempt}-${String(index)}`);
    const work = async () => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) await deploy(name);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
    expect(faults).toEqual([]);
  }, 240_000);

  it("let a client pull that only knows a ServiceAccount, before there is any pod", async () => {
    // As Knative does, which resolves tags to digests with the account's pull secrets.
    const account = await waitUntil("the account's pull secrets", async () => {
      const path = "/api/v1/namespaces/first/serviceaccounts/default";
      const { imagePullSecrets = [] } = await client.request({ method: "GET", path });
      const names = (imagePullSecrets as readonly { readonly name: string }[]).map(({ name }) => name);
      return names.length > 0 && names;
    });
    const secrets = await Promise.all(
      account.map((name) =>
        client.request({ method: "GET", path: `/api/v1/namespaces/first/secrets/${name}` }),
      ),
    );
    const entries = secrets.flatMap((secret) => Object.entries(contentOf(secret as unknown as SecretObject)));
    const [, login = ""] = entries.find(([key]) => image.startsWith(`${key}/`)) ?? [];
    const { url } = cluster.passwordRegistry;
    const pull = (headers: Readonly<Record<string, string>>) =>
      sendRequest(`${url}/v2/team-a/app/manifests/v1`, {
        headers: { accept: "application/vnd.oci.image.manifest.v1+json", ...headers },
        ca: cluster.authority.pem,
      });
    expect((await pull({})).status).toBe(401);
    const authorization = `Basic ${Buffer.from(login).toString("base64")}`;
    expect((await pull({ authorization })).status).toBe(200);
  });

  it("let pods pull after a rotation, and at no time was a copy away or is an old one left", async () => {
    const { kubectl, passwordRegistry } = cluster;
    const namespaces = ["first", "second", "third"];
    for (const name of namespaces.slice(1)) {
      await createNamespace(kubectl, name, OPTED_IN);
      await waitForCopies(client, name, copies(BEFORE));
    }
    const uidOf = async (name: string) =>
      (await copiesIn(client, name))["pullpass-team-a"]?.metadata.uid ?? "none";
    const before = await Promise.all(namespaces.map(uidOf));

    await passwordRegistry.setUser(AFTER);
    await kubectl.apply(source(AFTER));
    for (const name of namespaces) await waitForCopies(client, name, copies(AFTER));
    for (const namespace of namespaces) {
      await kubectl.create<PodObject>(podWith(image, { name: "rotated", namespace }, podSpec()));
    }
    for (const namespace of namespaces) {
      await waitForRunning(cluster, "rotated", namespace);
      expect(await pullFaultsIn(cluster, namespace)).toEqual([]);
    }
    await sleep(300);
    expect(await Promise.all(namespaces.map(uidOf))).toEqual(before);
    const writes = (await Promise.all(namespaces.map((name) => auditedWrites(cluster, name)))).flat();
    expect(writes.filter((write) => write.includes(" secrets ")).toSorted()).toEqual(
      namespaces
        .flatMap((name) => [
          `create secrets ${name}/pullpass-team-a`,
          `patch secrets ${name}/pullpass-team-a`,
        ])
        .toSorted(),
    );
  });
});
