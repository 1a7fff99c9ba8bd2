/** The built console beside a real API server, and what shows in it. */
import { createServer } from "node:https";
import { readFile, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { registryCrd } from "../../src/config/registry-crd.ts";
import { installManifest } from "../cluster/harness/chart.ts";
import type { Cluster } from "../cluster/harness/cluster.ts";
import { installPullpass, type Installation } from "../cluster/harness/install-pullpass.ts";
import { createNamespace } from "../cluster/harness/kubectl.ts";
import { podSpec, WORKLOADS, type PodList } from "../cluster/harness/pods.ts";
import { clusterRegistry, offeredLogin } from "../cluster/harness/registry-objects.ts";
import { runDaemon } from "../cluster/harness/run-daemon.ts";
import { leaderOf, type Replica } from "../cluster/harness/run-replica.ts";

const PROGRAM = join(import.meta.dirname, "../../dist/main.js");

export interface RunningConsole {
  /** `http://127.0.0.1:PORT`, or `https://`. */
  readonly url: string;
  /** The latest address that it printed, with its key if there is one. */
  address(): Promise<string>;
  /** All that it wrote. */
  output(): Promise<string>;
  stop(): Promise<void>;
}

export async function startConsole(
  cluster: Cluster,
  { name = "console", flags = [] }: { readonly name?: string; readonly flags?: readonly string[] } = {},
): Promise<RunningConsole> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run npm run build`);
  const logDirectory = join(cluster.network.directory, "log");
  const authorityFile = join(cluster.network.directory, "authority.pem");
  await writeFile(authorityFile, cluster.authority.pem);
  const daemon = await runDaemon({
    name,
    command: process.execPath,
    args: [PROGRAM, "console", `--kubeconfig=${cluster.kubeconfig}`, ...flags],
    logDirectory,
    // As an admin does for a registry with a certificate of the company.
    env: { NODE_EXTRA_CA_CERTS: authorityFile, HOME: "/nonexistent" },
    isReady: async () => (await readFile(join(logDirectory, `${name}.log`), "utf8")).includes("http"),
  });
  const output = (): Promise<string> => readFile(daemon.logFile, "utf8");
  const address = async (): Promise<string> =>
    (await output()).split("\n").findLast((line) => line.startsWith("http")) ?? "";
  return { url: new URL(await address()).origin, address, output, stop: () => daemon.stop() };
}

const HEALED: ReadonlySet<string> = new Set(["search", "shop"]);

/** The password that must be nowhere but in the API server and at the registry. */
export const MARKER = "made-up-M4rk3r-passw0rd";
export const USER = "made-up-user";

/** One that takes no root. */
const REGISTRY_PORT = 5000;

export interface FakeRegistry {
  /** As in an address. */
  readonly host: string;
  readonly requests: readonly string[];
  close(): void;
}

/** Asks for a password as registries do, over TLS that the cluster's authority vouches for. */
export async function startRegistry(cluster: Cluster, lastByte: number): Promise<FakeRegistry> {
  const address = cluster.network.address(lastByte);
  const { certificatePem, keyPem } = await cluster.authority.issue({
    commonName: "registry",
    hosts: [address],
  });
  const requests: string[] = [];
  const server = createServer({ cert: certificatePem, key: keyPem }, ({ url = "", headers }, response) => {
    requests.push(url);
    if (url.startsWith("/redirect")) return void response.writeHead(302, { location: "/v2/" }).end();
    const expected = `Basic ${Buffer.from(`${USER}:${MARKER}`).toString("base64")}`;
    if (headers.authorization === expected)
      return void response.writeHead(url.endsWith("/missing") ? 404 : 200).end("{}");
    // It repeats what it was sent, as badly written servers do.
    response
      .writeHead(401, { "www-authenticate": 'Basic realm="registry"' })
      .end(String(headers.authorization));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(REGISTRY_PORT, address, resolve);
  });
  return {
    host: `${address}:${REGISTRY_PORT.toString()}`,
    requests,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const OPTED_IN = { "pullpass.dev/inject": "enabled" };

/** A Pullpass that runs, a few registries in different states, namespaces, and pods that cannot pull. */
export interface Stage {
  readonly installation: Installation;
  readonly replica: Replica;
}

export async function setStage(cluster: Cluster, registryHost: string): Promise<Stage> {
  const { kubectl } = cluster;
  await kubectl.apply(registryCrd());
  await kubectl.run(["wait", "--for=condition=Established", "crd/clusterregistries.pullpass.dev"]);
  const installation = await installPullpass(cluster, { registries: [] });
  // The roles for people, and the policy that holds one of them to the Secrets of registries.
  const forPeople = (await installManifest()).filter(({ metadata }) =>
    metadata?.name?.startsWith("pullpass-registry-"),
  );
  await kubectl.apply(...forPeople);
  const authorityFile = join(cluster.network.directory, "authority.pem");
  await writeFile(authorityFile, cluster.authority.pem);
  const replica = await installation.startReplica({ env: { NODE_EXTRA_CA_CERTS: authorityFile } });
  await leaderOf(replica);
  await Promise.all(
    ["shop", "billing", "search", "ml-training"].map((name, index) =>
      createNamespace(kubectl, name, {
        ...OPTED_IN,
        ...(HEALED.has(name) && { "pullpass.dev/heal": "enabled" }),
        team: index < 2 ? "a" : "b",
      }),
    ),
  );
  await createNamespace(kubectl, "sandbox", { team: "b" });
  await kubectl.apply(
    offeredLogin("my-org", { username: USER, password: MARKER }),
    offeredLogin("docker-hub", { username: USER, password: `${MARKER}-old` }),
    offeredLogin("partner", { username: USER, password: MARKER }),
  );
  await kubectl.apply(
    clusterRegistry("my-org", { displayName: "My Org Private Registry", address: `${registryHost}/team-a` }),
    clusterRegistry("docker-hub", {
      displayName: "Docker Hub",
      address: "docker.io",
      namespaces: { matchLabels: { team: "a" } },
    }),
    clusterRegistry("partner", { displayName: "Partner images", address: "partner.example.net" }),
    clusterRegistry("legacy", { displayName: "Legacy", address: "old.example.com" }),
    {
      ...clusterRegistry("kept", {}),
      spec: { displayName: "Kept by hand", address: "kept.example.com", secretName: "regcred" },
    },
  );
  await Promise.all(
    ["my-org", "docker-hub", "partner"].map((name) =>
      kubectl.run(["wait", "--for=condition=Ready", `clusterregistry/${name}`, "--timeout=20s"]),
    ),
  );
  const unauthorized =
    "failed to pull and unpack image: failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized";
  const web = await stuckWorkload(cluster, "shop", "web", "docker.io/my-org/web:v7", unauthorized, [
    "pullpass-docker-hub",
  ]);
  await stuckWorkload(cluster, "billing", "invoices", "docker.io/my-org/invoices:v2", unauthorized, [
    "pullpass-docker-hub",
  ]);
  await stuckWorkload(cluster, "sandbox", "trial", "partner.example.net/tool:v1", unauthorized, []);
  // As serve with --heal writes it.
  await writeEvent(cluster, {
    ...{ source: "pullpass", reason: "EvictedToPull" },
    involved: { apiVersion: "apps/v1", kind: "ReplicaSet", namespace: "search", name: "index-6b5c9d7f8" },
    message:
      "Evicted pod index-6b5c9d7f8-x2x7p, which could not pull its images and lacked pull secrets that its replacement gets.",
  });
  await writeEvent(cluster, {
    ...{ source: "pullpass", reason: "LeftAlone" },
    involved: web,
    message: "A pod that cannot pull is left alone: a PodDisruptionBudget allows no disruption.",
  });
  return { installation, replica };
}

/**
 * A Deployment of one pod, whose container waits, by a status as kubelet writes it.
 *
 * @returns its ReplicaSet
 */
export async function stuckWorkload(
  cluster: Cluster,
  namespace: string,
  name: string,
  image: string,
  message: string,
  secrets: readonly string[],
): Promise<WrittenEvent["involved"]> {
  const { kubectl } = cluster;
  const spec = { ...podSpec(image), imagePullSecrets: secrets.map((secret) => ({ name: secret })) };
  const deployment = WORKLOADS.Deployment(name, spec);
  const labelled = {
    ...deployment,
    metadata: { name, namespace },
    spec: { ...deployment.spec, replicas: 1 },
  };
  await kubectl.create(labelled);
  const selector = ["pods", `--selector=app=${name}`, `--namespace=${namespace}`];
  const { items } = await kubectl.waitFor<PodList>(selector, (list) => list.items.length > 0);
  const waiting = { reason: "ErrImagePull", message: `rpc error: code = Unknown desc = ${message}` };
  const status = { name: "main", image, imageID: "", ready: false, restartCount: 0, state: { waiting } };
  const patch = JSON.stringify({ status: { phase: "Pending", containerStatuses: [status] } });
  for (const { metadata } of items) {
    await kubectl.run([
      ...["patch", "pod", metadata.name, `--namespace=${namespace}`, "--subresource=status", "--type=merge"],
      `--patch=${patch}`,
    ]);
    const { uid } = metadata as { readonly uid?: string };
    await writeEvent(cluster, {
      ...{ source: "kubelet", reason: "Failed" },
      involved: { apiVersion: "v1", kind: "Pod", namespace, name: metadata.name, uid },
      message: `Failed to pull image "${image}": rpc error: code = Unknown desc = ${message}`,
      // After which the kubelet waits for five minutes.
      count: 7,
    });
  }
  const { kind, name: owner } = items[0]?.metadata.ownerReferences?.[0] ?? { kind: "", name: "" };
  return { apiVersion: "apps/v1", kind, namespace, name: owner };
}

interface WrittenEvent {
  readonly source: "kubelet" | "pullpass";
  readonly reason: string;
  readonly involved: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid?: string | undefined;
  };
  readonly message: string;
  readonly count?: number;
}

async function writeEvent({ kubectl }: Cluster, event: WrittenEvent): Promise<void> {
  const { source, reason, involved, message, count = 1 } = event;
  const { namespace, name } = involved;
  const now = new Date().toISOString().replace(/\.\d+/, "");
  await kubectl.create({
    apiVersion: "v1",
    kind: "Event",
    metadata: { generateName: `${name}.`, namespace },
    involvedObject: involved,
    ...{ type: "Warning", reason, message, count, firstTimestamp: now, lastTimestamp: now },
    ...{ source: { component: source }, reportingComponent: source },
  });
}
