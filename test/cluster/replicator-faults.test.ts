import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { AUDIT_FLAGS, auditedRequests, auditedWrites } from "./harness/audit.ts";
import { writeKeyPair } from "./harness/certificates.ts";
import { startCluster, type OwnCluster } from "./harness/cluster.ts";
import { API_SERVER_PORT } from "./harness/control-plane.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass, PULLPASS_NAMESPACE, type Installation } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace, createService } from "./harness/kubectl.ts";
import { apiClient, pullSecretsOf, startCreatingPods, type PodObject } from "./harness/pods.ts";
import { waitForCopies } from "./harness/read-copies.ts";
import { leaderOf, type LogLine, type Replica } from "./harness/run-replica.ts";
import { sendRequest } from "../send-request.ts";
import { startStallingProxy } from "./harness/tcp-proxies.ts";
import { waitUntil } from "../wait-until.ts";
import { awaitWebhooks, webhookConfiguration } from "./harness/webhook-configuration.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const CONFIGURATION = {
  registries: [
    {
      name: "hub",
      address: "registry.example.com/team-a",
      auth: { type: "BasicAuth", username: "hub", password: "made-up-1" },
      use: ["pull"],
    },
    // An admin keeps this Secret. A replica injects it only where it knows the namespace's labels.
    {
      name: "limited",
      address: "registry.example.com/limited",
      namespaces: { matchLabels: { team: "known" } },
      secretName: "limited",
    },
  ],
};
const LIMITED_IMAGE = "registry.example.com/limited/app:v1";
const COPIES = {
  "pullpass-hub": { "registry.example.com/team-a": "hub:made-up-1" },
};
const QUIET_MS = 500;
/** The lease's requests hang first; when it is had again, so are the watches. The rest is for a slow machine. */
const SILENCE_LIMIT_MS = 20_000;

await describeLevel("control-plane", "two replicas", () => {
  let cluster: OwnCluster;
  let client: Transport;
  let installation: Installation;
  let replicas: readonly [Replica, Replica];

  beforeAll(async () => {
    cluster = await startCluster({ apiServerFlags: AUDIT_FLAGS });
    client = createTestKubeClient(cluster);
    installation = await installPullpass(cluster, CONFIGURATION);
    // One that hands over only at its end would be more than two seconds late.
    const flags = ["--shutdown-delay=2.5"];
    replicas = [await installation.startReplica({ flags }), await installation.startReplica({ flags })];
  });
  afterAll(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
    await cluster.stop();
  });

  let created = 0;
  const optIn = async (labels: Readonly<Record<string, string>> = {}) => {
    const name = `app-${String(++created)}`;
    await cluster.kubectl.create({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, labels: { ...OPTED_IN, ...labels } },
    });
    return name;
  };
  /** How long it took until a namespace that opts in now had its copies, in milliseconds. */
  const timeToCopies = async (timeoutMs: number) => {
    const startedAt = Date.now();
    await waitForCopies(client, await optIn(), COPIES, { timeoutMs });
    return Date.now() - startedAt;
  };
  /** Each copy was written once, whatever happened. */
  const expectOneWriteEach = async () => {
    await sleep(QUIET_MS);
    const expected = Array.from(
      { length: created },
      (_, index) => `create secrets app-${String(index + 1)}/pullpass-hub`,
    );
    expect((await auditedWrites(cluster)).toSorted()).toEqual(expected.toSorted());
  };
  let leader: Replica;
  let other: Replica;
  beforeEach(async () => {
    const found = await leaderOf(...replicas);
    leader = found.leader;
    [other] = found.others as [Replica];
  });
  const isInjected = async (replica: Replica, namespace: string, image: string): Promise<boolean> => {
    const { body } = await sendRequest(`${replica.url}/mutate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(reviewOf(namespace, image)),
      ca: cluster.authority.pem,
    });
    return "patch" in (JSON.parse(body) as { readonly response: object }).response;
  };

  it("write each copy once, by one of them", async () => {
    await timeToCopies(10_000);
    await timeToCopies(10_000);
    expect(await other.metric("pullpass_leader")).toBe(0);
    expect(await other.metric("pullpass_copies")).toBe(2);
    await expectOneWriteEach();
  });

  it("hand over within two seconds when the one that writes gets SIGTERM, which goes on answering", async () => {
    const stopped = leader.stop();
    const toldAt = Date.now();
    await timeToCopies(10_000);
    expect(await isInjected(leader, `app-${String(created)}`, "registry.example.com/team-a/app")).toBe(true);
    const started = await beganToLead(other);
    // By its own log, because kubectl takes most of the time on a slow machine.
    expect(Number(started["time"]) - toldAt).toBeGreaterThan(0);
    expect(Number(started["time"]) - toldAt).toBeLessThan(2_000);
    await stopped;
    // By itself: after five seconds it would have been killed.
    expect(Date.now() - toldAt).toBeLessThan(4_500);
    await leader.start();
    await expectOneWriteEach();
  });

  it("hand over within 15 s when the one that writes is killed", async () => {
    await leader.kill();
    expect(await timeToCopies(20_000)).toBeLessThan(15_000);
    await leader.start();
    await expectOneWriteEach();
  });

  it("refuse no pod when the one that answers is killed under Ignore, and inject again once one is there", async () => {
    const namespace = PULLPASS_NAMESPACE;
    const { host, port, dnsNames } = await createService(cluster.kubectl, { namespace, name: "pullpass" });
    const serving = await cluster.authority.issue({ commonName: "pullpass", hosts: dnsNames });
    // One address stands for the Service: who listens there is the replica that it leads to.
    const answering = await installation.startReplica({
      name: "answering",
      host,
      port,
      certificate: await writeKeyPair(installation.directory, "answering", serving),
    });
    await cluster.kubectl.apply(
      webhookConfiguration({
        service: { namespace, name: "pullpass", port },
        authorityPem: cluster.authority.pem,
      }),
    );
    await awaitWebhooks(cluster.kubectl);
    const busy = `app-${String(++created)}`;
    await createNamespace(cluster.kubectl, busy, OPTED_IN);

    const creating = startCreatingPods(await apiClient(cluster), busy);
    await sleep(500);
    const killedAt = Date.now();
    await answering.kill();
    await sleep(500);
    await answering.start();
    const backAt = Date.now();
    await sleep(500);
    const creations = await creating.stop();
    await answering.stop();

    expect(creations.filter(({ status }) => status !== 201)).toEqual([]);
    const bare = creations.filter(({ body }) => pullSecretsOf(JSON.parse(body) as PodObject).length === 0);
    expect(bare.length).toBeGreaterThan(0);
    const early = bare.filter(({ endedAt }) => endedAt < killedAt);
    const late = bare.filter(({ startedAt }) => startedAt > backAt);
    expect([...early, ...late]).toEqual([]);
    expect(creations.some(({ startedAt }) => startedAt > backAt)).toBe(true);
  });

  it("go on when the API server was restarted", async () => {
    await cluster.restartApiServer();
    await timeToCopies(40_000);
    await expectOneWriteEach();
    await timeToCopies(5_000);
    expect(await auditedRequests(cluster)).not.toContainEqual(expect.objectContaining({ status: 401 }));
  });

  it("answer reviews from what they know while the API server is away, and write again when it is back", async () => {
    const namespace = await optIn({ team: "known" });
    await waitForCopies(client, namespace, COPIES);
    // One of them may still be finding its way back from the restart before.
    for (const replica of replicas) {
      await waitUntil("the replica to know the namespace", () =>
        isInjected(replica, namespace, LIMITED_IMAGE),
      );
    }
    await cluster.stopApiServer();
    // Longer than a leader goes on without an answer.
    await sleep(8_000);
    for (const replica of replicas) {
      expect(await isInjected(replica, namespace, LIMITED_IMAGE)).toBe(true);
      expect(await replica.metric("pullpass_leader")).toBe(0);
    }
    await cluster.restartApiServer();
    await timeToCopies(40_000);
    await expectOneWriteEach();
  });

  it("notice within 20 s that nothing comes over their connections any more, and lose nothing", async () => {
    const { afterMs, restarts, writes } = await loseTheConnections();
    expect(afterMs).toBeLessThan(SILENCE_LIMIT_MS);
    expect(restarts).toBeGreaterThan(0);
    expect(writes.toSorted()).toEqual([
      "create secrets after/pullpass-hub",
      "create secrets before/pullpass-hub",
    ]);
  }, 120_000);
});

/** What the replica logged then; the log is a fraction of a second behind. */
function beganToLead(replica: Replica): Promise<LogLine> {
  return waitUntil("the log to say who leads", async () =>
    (await replica.log()).findLast(({ msg }) => msg.startsWith("leading")),
  );
}

function reviewOf(namespace: string, image: string): object {
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "made-up",
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      namespace,
      operation: "CREATE",
      object: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "app", namespace },
        spec: { containers: [{ name: "main", image }] },
      },
    },
  };
}

interface Silence {
  /** From opting in to copies, in milliseconds. */
  readonly afterMs: number;
  /** Of the watch of namespaces, because the lease was as silent. */
  readonly restarts: number | undefined;
  readonly writes: readonly string[];
}

/** A cluster of its own, whose only replica loses all its connections without notice. */
async function loseTheConnections(): Promise<Silence> {
  const cluster = await startCluster({ apiServerFlags: AUDIT_FLAGS });
  try {
    const client = createTestKubeClient(cluster);
    const installation = await installPullpass(cluster, CONFIGURATION);
    const { network, kubectl } = cluster;
    // The other address that the API server's certificate is for.
    const way = { host: network.address(129), port: API_SERVER_PORT };
    const proxy = await startStallingProxy(way, { host: network.address(3), port: API_SERVER_PORT });
    const server = `https://${way.host}:${String(way.port)}`;
    const kubeconfig = await installation.kubeconfigFor("stalling", server);
    const replica = await installation.startReplica({ kubeconfig });
    await leaderOf(replica);
    await createNamespace(kubectl, "before", OPTED_IN);
    await waitForCopies(client, "before", COPIES);
    proxy.stall();
    const lostAt = Date.now();
    await createNamespace(kubectl, "after", OPTED_IN);
    await waitForCopies(client, "after", COPIES, { timeoutMs: SILENCE_LIMIT_MS, intervalMs: 250 });
    const afterMs = Date.now() - lostAt;
    const metric = 'pullpass_watch_restarts_total{watch="namespaces",reason="error"}';
    const restarts = await replica.metric(metric);
    await replica.stop();
    await proxy.stop();
    return { afterMs, restarts, writes: await auditedWrites(cluster) };
  } finally {
    await cluster.stop();
  }
}
