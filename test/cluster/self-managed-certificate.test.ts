import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { RENEWAL_TIMING } from "../../src/tls/plan-renewal.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass, PULLPASS_NAMESPACE, type Installation } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace, createService } from "./harness/kubectl.ts";
import {
  apiClient,
  pullSecretsOf,
  startCreatingPods,
  type Creation,
  type PodObject,
} from "./harness/pods.ts";
import {
  publishedBundles,
  readCertificateSecret,
  startHandshakes,
} from "./harness/published-certificates.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { sendRequest } from "../send-request.ts";
import { startBalancer, type Balancer } from "./harness/tcp-proxies.ts";
import { waitUntil } from "../wait-until.ts";
import { webhookConfiguration } from "./harness/webhook-configuration.ts";

const CONFIGURATION = {
  registries: [{ name: "team-a", address: "registry.example.com/team-a", secretName: "team-a" }],
};
const YEAR_MS = 365 * 24 * 60 * 60_000;
/** An authority every ten seconds, a certificate every six. */
const SHORT = {
  authorityLifetimeMs: 15_000,
  servingLifetimeMs: 9_000,
  publishedForMs: 1_500,
  servedForMs: 3_000,
};
/** Nothing ends, but what changes is changed soon. */
const HASTY = { ...RENEWAL_TIMING, publishedForMs: 4_000, servedForMs: 4_000 };

await describeLevel("control-plane", "certificates that Pullpass keeps itself, under Fail", () => {
  let cluster: Cluster;
  let client: Transport;
  let installation: Installation;
  let balancer: Balancer;
  let hosts: readonly [string, string];
  const running: Replica[] = [];
  /** What a test that failed did not stop. */
  const streams: { stop(): Promise<unknown> }[] = [];

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    installation = await installPullpass(cluster, CONFIGURATION);
    const service = { namespace: PULLPASS_NAMESPACE, name: "pullpass" };
    const { host, port } = await createService(cluster.kubectl, service);
    hosts = [cluster.network.address(21), cluster.network.address(22)];
    balancer = await startBalancer(host, port, hosts);
    await cluster.kubectl.apply(
      webhookConfiguration({ service: { ...service, port }, authorityPem: "", failurePolicy: "Fail" }),
    );
    await createNamespace(cluster.kubectl, "team-a", { "pullpass.dev/inject": "enabled" });
  });
  afterEach(async () => {
    await Promise.all(streams.splice(0).map((stream) => stream.stop()));
  });
  afterAll(async () => {
    await stopAll();
    await balancer.stop();
    client.close();
  });

  const startReplicas = async (options: object = {}): Promise<readonly [Replica, Replica]> => {
    const [first, second] = await Promise.all(
      hosts.map((host, index) =>
        installation.startReplica({
          name: `replica-${String(index)}`,
          host,
          certificate: "self-managed",
          ...options,
        }),
      ),
    );
    if (first === undefined || second === undefined) throw new Error("two were asked for");
    running.push(first, second);
    return [first, second];
  };
  const stopAll = async () => {
    await Promise.all(running.splice(0).map((replica) => replica.stop()));
  };
  const secret = () => readCertificateSecret(client);
  const bundles = () => publishedBundles(client);
  const deleteSecret = () =>
    cluster.kubectl.run(["delete", "secret", "pullpass-tls", `--namespace=${PULLPASS_NAMESPACE}`]);
  const wipeBundle = () =>
    cluster.kubectl.run([
      "patch",
      "mutatingwebhookconfiguration",
      "pullpass",
      "--type=json",
      `--patch=[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`,
    ]);
  const expectAllInjected = (creations: readonly Creation[]) => {
    expect(creations.length).toBeGreaterThan(10);
    for (const { status, body } of creations) {
      expect(status, body).toBe(201);
      expect(pullSecretsOf(JSON.parse(body) as PodObject)).toEqual(["team-a"]);
    }
  };
  const createPods = async () => {
    const creating = startCreatingPods(await apiClient(cluster), "team-a");
    streams.push(creating);
    return creating;
  };
  const shakeHands = (withHosts: readonly string[] = hosts) => {
    const handshakes = startHandshakes(client, withHosts);
    streams.push(handshakes);
    return handshakes;
  };
  const expectPodsInjected = async () => {
    const creating = await createPods();
    await waitUntil("some pods", () => creating.count() > 20);
    expectAllInjected(await creating.stop());
  };

  it("are not made where somebody else's Secret has their name; nobody is served then, or is ready", async () => {
    const name = ["pullpass-tls", `--namespace=${PULLPASS_NAMESPACE}`];
    const foreign = ["create", "secret", "generic", ...name, "--from-literal=tls.crt=made-up"];
    await cluster.kubectl.run(foreign);
    const replica = await installation.startReplica({
      name: "waiting",
      host: hosts[0],
      certificate: "self-managed",
      readyPath: "/healthz",
    });
    await leaderOf(replica);
    expect(await replica.readiness()).toBe(
      "the Secret pullpass/pullpass-tls was not created by Pullpass; it is left alone",
    );
    await expect(sendRequest(replica.url)).rejects.toThrow(/handshake failure/);
    await replica.stop();
    expect((await replica.log()).at(-1)?.msg).toBe("stopped");
    expect((await bundles())[0]).toEqual([]);
    await deleteSecret();
  });

  it("are made where there is nothing, and all replicas serve them as soon as they are ready", async () => {
    const [first, second] = await startReplicas();
    await expectPodsInjected();
    const { serving, authority } = await secret();
    expect(await bundles()).toEqual([[authority?.fingerprint256]]);
    expect(serving?.checkHost("pullpass.pullpass.svc")).toBe("pullpass.pullpass.svc");
    for (const replica of [first, second]) {
      const expiry = await replica.metric("pullpass_certificate_authority_expiry_timestamp_seconds");
      expect((expiry ?? 0) * 1000 - Date.now()).toBeGreaterThan(0.99 * YEAR_MS);
      expect(await replica.metric("pullpass_certificate_expiry_timestamp_seconds")).toBe(
        Date.parse(serving?.validTo ?? "") / 1000,
      );
    }
    const handshakes = shakeHands();
    await waitUntil("some handshakes", () => handshakes.count() > 4);
    expect(await handshakes.stop()).toEqual([]);
  });

  it("are not made again when the replicas start again", async () => {
    const before = await secret();
    await stopAll();
    await startReplicas();
    await expectPodsInjected();
    expect((await secret()).resourceVersion).toBe(before.resourceVersion);
  });

  it("are published again when somebody empties the caBundle", async () => {
    const before = await bundles();
    await wipeBundle();
    await waitUntil("the bundle", async () => (await bundles()).join() === before.join());
    await expectPodsInjected();
  });

  it("are replaced one after the other, and not one pod is refused or misses its secret", async () => {
    await stopAll();
    // Those that are there last for a year.
    await deleteSecret();
    await startReplicas({ flags: [`--renewal-timing=${JSON.stringify(SHORT)}`] });
    const authorities = new Set<string | undefined>();
    const certificates = new Set<string | undefined>();
    const creating = await createPods();
    const handshakes = shakeHands();
    await waitUntil(
      "three authorities and five certificates",
      async () => {
        const { authority, serving } = await secret();
        authorities.add(authority?.fingerprint256);
        certificates.add(serving?.fingerprint256);
        return authorities.size >= 3 && certificates.size >= 5;
      },
      { timeoutMs: 50_000, intervalMs: 500 },
    );
    expectAllInjected(await creating.stop());
    expect(handshakes.count()).toBeGreaterThan(50);
    expect(await handshakes.stop()).toEqual([]);
  });

  it("are made again when somebody deletes the Secret, and nobody notices", async () => {
    await stopAll();
    await startReplicas({ flags: [`--renewal-timing=${JSON.stringify(HASTY)}`] });
    const before = await waitUntil("a quiet time", async () => {
      const now = await secret();
      return (await bundles()).join() === now.authority?.fingerprint256 && now;
    });
    const creating = await createPods();
    const handshakes = shakeHands();
    await deleteSecret();
    await waitUntil("a new authority that alone is trusted", async () => {
      const { authority } = await secret();
      const isNew = authority !== undefined && authority.fingerprint256 !== before.authority?.fingerprint256;
      return isNew && (await bundles()).join() === authority.fingerprint256;
    });
    expectAllInjected(await creating.stop());
    expect(await handshakes.stop()).toEqual([]);
  });

  it("are replaced by another replica if the leader is killed half-way", async () => {
    const before = await secret();
    const { leader, others } = await leaderOf(...running);
    // Without its key the authority has to be replaced.
    await cluster.kubectl.run([
      "patch",
      "secret",
      "pullpass-tls",
      `--namespace=${PULLPASS_NAMESPACE}`,
      "--type=json",
      `--patch=[{"op":"remove","path":"/data/ca.key"}]`,
    ]);
    await waitUntil("two authorities to be published", async () => (await bundles())[0]?.length === 2);
    await leader.kill();
    running.splice(running.indexOf(leader), 1);
    const { authority } = await secret();
    expect(authority?.fingerprint256).toBe(before.authority?.fingerprint256);

    const survivor = hosts.filter((host) => others.some(({ url }) => url.includes(host)));
    const handshakes = shakeHands(survivor);
    await waitUntil("a new authority that alone is trusted", async () => {
      const now = await secret();
      const isNew = now.authority?.fingerprint256 !== before.authority?.fingerprint256;
      return isNew && (await bundles()).join() === now.authority?.fingerprint256;
    });
    expect(await handshakes.stop()).toEqual([]);
    await expectPodsInjected();
  });
});
