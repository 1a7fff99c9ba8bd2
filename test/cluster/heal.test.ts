import { setTimeout as sleep } from "node:timers/promises";
import { parseAllDocuments } from "yaml";
import { afterAll, beforeAll, expect, it } from "vitest";
import { registryCrd } from "../../src/config/registry-crd.ts";
import { createApis } from "../../src/kube/api.ts";
import { evict } from "../../src/kube/resources/evictions.ts";
import { auditedRequests } from "./harness/audit.ts";
import { CHART_DIRECTORY, createHelm } from "./harness/chart.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { pullSecretsOf, type PodList, type PodObject } from "./harness/pods.ts";
import type { Replica } from "./harness/run-replica.ts";
import { clusterRegistry, offeredLogin } from "./harness/registry-objects.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { webhookConfiguration } from "./harness/webhook-configuration.ts";
import { waitUntil } from "../wait-until.ts";

const NAMESPACE = "app";
const HEALED = { "pullpass.dev/inject": "enabled", "pullpass.dev/heal": "enabled" };
const IMAGE = "team.example.com/app:v1";
const SECRET = "pullpass-team";

/** As containerd says it. */
const REFUSED = `failed to pull and unpack image "${IMAGE}": failed to resolve reference "${IMAGE}": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials`;
const WAITING = {
  ...{
    name: "main",
    image: IMAGE,
    imageID: "",
    ready: false,
    restartCount: 0,
    started: false,
    lastState: {},
  },
  state: { waiting: { reason: "ErrImagePull", message: REFUSED } },
};

// No kubelet runs here: the test writes what one would.
await describeLevel("control-plane", "heal", () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;
  /** Only one of the two leads. */
  let second: Replica;

  beforeAll(async () => {
    cluster = await borrowCluster();
    const { kubectl } = cluster;
    await kubectl.apply(registryCrd());
    webhook = await startWebhook(cluster, { registries: [], flags: ["--heal"] });
    await kubectl.apply(...(await healRights()));
    second = await webhook.startReplica({ flags: ["--heal"] });
    await createNamespace(kubectl, NAMESPACE, HEALED);
    await createNamespace(kubectl, "unhealed", { "pullpass.dev/inject": "enabled" });
  });
  afterAll(async () => {
    await second.stop();
    await webhook.stop();
  });

  async function healRights(): Promise<readonly object[]> {
    const helm = await createHelm(cluster);
    const { stdout } = await helm.run(
      ...["template", "pullpass", CHART_DIRECTORY, "--namespace=pullpass", "--set=heal.enabled=true"],
      "--show-only=templates/heal.yaml",
    );
    return parseAllDocuments(stdout).map((document) => document.toJS() as object);
  }

  const template = (name: string, spec: object = {}, labels: object = {}) => ({
    metadata: { labels: { app: name, ...labels } },
    spec: { containers: [{ name: "main", image: IMAGE }], ...spec },
  });
  const replicaSet = (name: string, spec: object = {}, namespace = NAMESPACE, labels: object = {}) => ({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name, namespace },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: template(name, spec, labels),
    },
  });
  const statefulSet = (name: string) => ({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name, namespace: NAMESPACE },
    spec: { serviceName: name, selector: { matchLabels: { app: name } }, template: template(name) },
  });
  const job = (name: string, backoffLimit: number) => ({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace: NAMESPACE },
    spec: { backoffLimit, template: template(name, { restartPolicy: "Never" }) },
  });
  const barePod = (name: string) => ({
    apiVersion: "v1",
    kind: "Pod",
    ...template(name),
    metadata: { name, namespace: NAMESPACE, labels: { app: name } },
  });

  const podsOf = async (name: string, namespace = NAMESPACE): Promise<readonly PodObject[]> =>
    (await cluster.kubectl.json<PodList>("get", "pods", `--namespace=${namespace}`, `--selector=app=${name}`))
      .items;
  const podOf = (name: string, namespace = NAMESPACE): Promise<PodObject> =>
    waitUntil(`the pod of ${name}`, async () => (await podsOf(name, namespace))[0]);
  const uidOf = ({ metadata }: PodObject): string => (metadata as { readonly uid?: string }).uid ?? "";
  const setStatus = ({ metadata }: PodObject, status: object): Promise<unknown> =>
    cluster.kubectl.run([
      ...[
        "patch",
        "pod",
        metadata.name,
        `--namespace=${metadata.namespace ?? NAMESPACE}`,
        "--subresource=status",
      ],
      ...["--type=merge", `--patch=${JSON.stringify({ status: { phase: "Pending", ...status } })}`],
    ]);
  const evictions = async (): Promise<readonly string[]> =>
    (await auditedRequests(cluster))
      .filter(({ resource, status }) => resource === "pods/eviction" && status < 300)
      .map(({ name }) => name);

  const STUCK = { containerStatuses: [WAITING] };
  const RAN = { ...WAITING, lastState: { terminated: { exitCode: 0 } } };
  const RUNNING = { ...WAITING, name: "sidecar", state: { running: {} } };
  const NOT_FOUND = {
    ...WAITING,
    state: {
      waiting: { reason: "ErrImagePull", message: `rpc error: code = NotFound desc = ${IMAGE}: not found` },
    },
  };

  it("evicts one pod of a ReplicaSet and of a StatefulSet once their registry is there, and leaves all others alone", async () => {
    const { kubectl } = cluster;
    const sidecar = {
      initContainers: [{ name: "sidecar", image: "sidecar.example.com/x", restartPolicy: "Always" }],
    };
    await kubectl.apply(
      ...[
        replicaSet("plain"),
        statefulSet("db"),
        replicaSet("beside-a-sidecar", sidecar),
        replicaSet("ran-once"),
      ],
      ...[replicaSet("budgeted"), job("one-try", 0), barePod("bare"), replicaSet("unhealed", {}, "unhealed")],
      ...[replicaSet("not-there"), replicaSet("named", { imagePullSecrets: [{ name: SECRET }] })],
      replicaSet("opted-out", {}, NAMESPACE, { "pullpass.dev/inject": "disabled" }),
      {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: { name: "budgeted", namespace: NAMESPACE },
        spec: { minAvailable: 1, selector: { matchLabels: { app: "budgeted" } } },
      },
    );
    const statuses: Readonly<Record<string, object>> = {
      ...{
        plain: STUCK,
        db: STUCK,
        budgeted: STUCK,
        "one-try": STUCK,
        bare: STUCK,
        named: STUCK,
        "opted-out": STUCK,
      },
      "beside-a-sidecar": { initContainerStatuses: [RUNNING], ...STUCK },
      "ran-once": { containerStatuses: [RAN] },
      "not-there": { containerStatuses: [NOT_FOUND] },
    };
    const before = new Map<string, string>();
    for (const [name, status] of Object.entries(statuses)) {
      const pod = await podOf(name);
      before.set(name, uidOf(pod));
      await setStatus(pod, status);
    }
    const unhealed = await podOf("unhealed", "unhealed");
    await setStatus(unhealed, STUCK);

    // A new pod would be no better while nobody asks the webhook about it.
    await kubectl.run(["delete", "mutatingwebhookconfiguration", "pullpass"]);
    await kubectl.apply(
      offeredLogin("team", { username: "user", password: "made-up" }),
      clusterRegistry("team", { address: "team.example.com" }),
    );
    await waitUntil(
      "the pod to be left alone",
      async () =>
        (await webhook.log()).some(
          ({ pod, reason }) => pod?.startsWith("plain-") === true && reason === "webhook-not-ready",
        ),
      { timeoutMs: 60_000 },
    );
    expect(await evictions()).toEqual([]);
    const registeredAt = Date.now();
    await kubectl.apply(webhookConfiguration(webhook.registration));
    for (const name of ["plain", "db"]) {
      const pod = await waitUntil(
        `another pod of ${name}`,
        async () => (await podsOf(name)).find((candidate) => uidOf(candidate) !== before.get(name)),
        { timeoutMs: 60_000 },
      );
      expect(pullSecretsOf(pod)).toEqual([SECRET]);
    }
    expect(Date.now() - registeredAt).toBeLessThan(60_000);
    // In which the others would go, too.
    await sleep(15_000);
    expect((await evictions()).toSorted()).toEqual(["db-0", expect.stringMatching(/^plain-/)]);
    for (const name of Object.keys(statuses).filter((one) => one !== "plain" && one !== "db")) {
      expect([name, uidOf(await podOf(name))]).toEqual([name, before.get(name)]);
    }
    expect(uidOf(await podOf("unhealed", "unhealed"))).toBe(uidOf(unhealed));
    const { stdout } = await kubectl.run(["events", `--namespace=${NAMESPACE}`, "--no-headers"]);
    for (const [object, because] of [
      ["ReplicaSet/budgeted", "a PodDisruptionBudget allows no disruption"],
      ["Job/one-try", "its Job would count the eviction as a failure"],
      ["Pod/bare", "nothing would create it again"],
      ["ReplicaSet/plain", "new pods would not get their pull secrets now"],
    ] as const) {
      const line = stdout.split("\n").find((one) => one.includes("LeftAlone") && one.includes(object));
      expect([object, line]).toEqual([object, expect.stringContaining(`is left alone: ${because}.`)]);
    }
  }, 150_000);

  it("keeps its hands off a controller whose next pod cannot pull either, and says so there", async () => {
    const { kubectl } = cluster;
    const pod = await podOf("plain");
    await setStatus(pod, STUCK);
    await waitUntil(
      "the Event",
      async () => {
        const { stdout } = await kubectl.run([
          "events",
          `--namespace=${NAMESPACE}`,
          "--for=replicaset/plain",
        ]);
        return stdout.includes("EvictionDidNotHelp") && stdout.includes("EvictedToPull");
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
    expect(uidOf(await podOf("plain"))).toBe(uidOf(pod));
    expect(await evictions()).toHaveLength(2);
  }, 90_000);

  it("evicts a pod as it was read, and no other one", async () => {
    const apisFor = createApis(createTestKubeClient(cluster));
    const { metadata } = await podOf("bare");
    const {
      name,
      uid = "",
      resourceVersion = "",
    } = metadata as typeof metadata & {
      readonly uid?: string;
      readonly resourceVersion?: string;
    };
    const pod = { namespace: NAMESPACE, name, uid, resourceVersion };
    expect(await evict(apisFor, { ...pod, resourceVersion: "1" })).toBe("changed");
    expect(await evict(apisFor, { ...pod, uid: "another" })).toBe("changed");
    expect(await evict(apisFor, { ...pod, name: "nobody" })).toBe("changed");
    expect(await evict(apisFor, pod)).toBe("evicted");
  });

  it("evicts five pods at once, and then ten a minute", async () => {
    const { kubectl } = cluster;
    await kubectl.run(["delete", "mutatingwebhookconfiguration", "pullpass"]);
    const names = Array.from({ length: 7 }, (_, index) => `many-${String(index)}`);
    await kubectl.apply(...names.map((name) => replicaSet(name)));
    for (const name of names) await setStatus(await podOf(name), STUCK);
    // Older than that they may be evicted, if only their successors were better.
    await sleep(31_000);
    await kubectl.apply(webhookConfiguration(webhook.registration));
    const times = await waitUntil(
      "seven evictions",
      async () => {
        const evicted = (await auditedRequests(cluster)).filter(
          ({ resource, name, status }) =>
            resource === "pods/eviction" && name.startsWith("many-") && status < 300,
        );
        return evicted.length === names.length && evicted.map(({ at }) => at);
      },
      { timeoutMs: 60_000 },
    );
    // After the burst one in six seconds; the first of them may have been due.
    expect((times[6] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(5_500);
    // One in six seconds would take 24 s.
    expect((times[4] ?? 0) - (times[0] ?? 0)).toBeLessThan(12_000);
  }, 150_000);

  it("touches nothing in a dry run, and logs what it would evict", async () => {
    await webhook.stop();
    await second.stop();
    second = await webhook.startReplica({ flags: ["--heal=dry-run"] });
    // Under failurePolicy Ignore, and without the webhook, it lacks what its namespace has.
    await cluster.kubectl.apply(replicaSet("later"));
    const pod = await podOf("later");
    expect(pullSecretsOf(pod)).toEqual([]);
    await setStatus(pod, STUCK);
    const before = await evictions();
    await waitUntil(
      "the line in the log",
      async () =>
        (await second.log()).some(
          (line) => line.msg === "dry run: would evict a stuck pod" && line["pod"] === pod.metadata.name,
        ),
      { timeoutMs: 60_000 },
    );
    await sleep(3000);
    expect(await evictions()).toEqual(before);
    expect(uidOf(await podOf("later"))).toBe(uidOf(pod));
  }, 120_000);
});
