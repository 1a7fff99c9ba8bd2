import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diagnose, type Diagnosis, type PodWithStatus } from "../../src/core/diagnosis.ts";
import { asArray, getString, isObject } from "../../src/core/kubernetes.ts";
import type { PullFailure } from "../../src/core/pull-message.ts";
import { readPullSecret, type PullSecretState } from "../../src/core/pull-secret.ts";
import { indexRegistries, type RegistryIndex } from "../../src/core/registry.ts";
import type { VerdictCode } from "../../src/core/verdicts.ts";
import { makeRegistry } from "../core/make-registry.ts";
import { startOddServer, type Reply } from "../registry/odd-server.ts";
import { createAuthority, type KeyPair } from "./harness/certificates.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace, createPullSecret, type KubernetesObject } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { requestedRelease } from "./harness/parts.ts";
import { podWith } from "./harness/pods.ts";
import { waitUntil } from "../wait-until.ts";

const NAMESPACE = "team-a";
/** By `registryPullQPS`, of the kubelet's configuration. */
const KUBELET_LIMIT = "pull QPS exceeded";
const RELEASE = requestedRelease();
/** Where the rows of the unit test come from; `UPDATE_FIXTURES=1` writes them again. */
const FIXTURE = join(import.meta.dirname, `../fixtures/pull-messages/${RELEASE}.json`);

interface Fault {
  readonly image: string;
  /** In the pod's `imagePullSecrets`. */
  readonly secrets?: readonly string[];
  readonly spec?: object;
  readonly failure: PullFailure;
  readonly code: VerdictCode;
}

type StoredPod = KubernetesObject & PodWithStatus;

/** A container that waits for its image, as the API server showed it once. */
interface Sighting {
  readonly reason: string;
  readonly message: string;
  readonly diagnosis: Diagnosis;
}

/** What a person would find. The images that have no path here are at a scripted registry. */
const FAULTS = {
  "no credentials, at a registry that asks for a password, and none is configured": {
    ...{ image: "PASSWORD/uncovered/app:v1", failure: "unauthorized", code: "no-registry" },
  },
  "no credentials, at a registry that asks for a password, from before the registry": {
    ...{ image: "PASSWORD/team-a/app:v1", failure: "unauthorized", code: "older-than-registry" },
  },
  "a secret that does not exist": {
    ...{ image: "PASSWORD/team-a/app:v1", secrets: ["team-a-creds"] },
    ...{ failure: "unauthorized", code: "secret-missing" },
  },
  "a wrong password": {
    ...{ image: "PASSWORD/mistyped/app:v1", secrets: ["wrong"] },
    ...{ failure: "unauthorized", code: "unauthorized" },
  },
  "a secret for another host": {
    ...{ image: "PASSWORD/elsewhere/app:v1", secrets: ["elsewhere"] },
    ...{ failure: "unauthorized", code: "no-credentials-for-image" },
  },
  "a secret whose token expired": {
    ...{ image: "PASSWORD/expiring/app:v1", secrets: ["expired"] },
    ...{ failure: "unauthorized", code: "secret-expired" },
  },
  "no credentials, at a registry with tokens": {
    ...{ image: "TOKEN/team-a/app:v1", failure: "unauthorized", code: "lacks-secret" },
  },
  "a wrong password, at a registry with tokens": {
    ...{ image: "TOKEN/mistyped/app:v1", secrets: ["wrong-tokens"] },
    ...{ failure: "unauthorized", code: "unauthorized" },
  },
  "a user who may not pull that, at a registry with tokens": {
    ...{ image: "TOKEN/limited/app:v1", secrets: ["limited"] },
    ...{ failure: "unauthorized", code: "unauthorized" },
  },
  "a private image of Docker Hub without credentials": {
    ...{ image: "private:v1", failure: "unauthorized", code: "no-registry" },
  },
  "an image that Docker Hub does not have": {
    ...{ image: "absent:v1", secrets: ["hub"], failure: "not-found", code: "not-found" },
  },
  "a repository that does not exist": {
    ...{ image: "PASSWORD/good/absent:v1", secrets: ["good"], failure: "not-found", code: "not-found" },
  },
  "a tag that does not exist": {
    ...{ image: "PASSWORD/good/app:absent", secrets: ["good"], failure: "not-found", code: "not-found" },
  },
  "a tag that does not exist, at a registry with tokens": {
    ...{ image: "TOKEN/good/app:absent", secrets: ["good-tokens"] },
    ...{ failure: "not-found", code: "not-found" },
  },
  "a digest that does not exist": {
    ...{ image: `PASSWORD/good/app@sha256:${"0".repeat(64)}`, secrets: ["good"] },
    ...{ failure: "not-found", code: "not-found" },
  },
  "an init container whose image does not exist": {
    ...{ image: "PASSWORD/good/app:v1", secrets: ["good"], failure: "not-found", code: "not-found" },
    spec: { initContainers: [{ name: "init", image: "PASSWORD/good/init:absent" }] },
  },
  "a volume whose image does not exist": {
    ...{ image: "PASSWORD/good/app:v1", secrets: ["good"], failure: "not-found", code: "not-found" },
    spec: {
      volumes: [{ name: "data", image: { reference: "PASSWORD/good/data:absent" } }],
      containers: [
        {
          name: "main",
          image: "PASSWORD/good/app:v1",
          volumeMounts: [{ name: "data", mountPath: "/data" }],
        },
      ],
    },
  },
  "a registry without TLS": { image: "plain.test/app:v1", failure: "tls", code: "tls" },
  "a certificate that expired": { image: "expired.test/app:v1", failure: "tls", code: "tls" },
  "a certificate that nobody trusts": { image: "untrusted.test/app:v1", failure: "tls", code: "tls" },
  "a certificate for another host": { image: "misnamed.test/app:v1", failure: "tls", code: "tls" },
  "a port on which nobody listens": { image: "silent.test/app:v1", failure: "network", code: "network" },
  "a host that does not exist": { image: "nowhere.test/app:v1", failure: "network", code: "network" },
  "429 without a word": { image: "busy.test/app:v1", failure: "rate-limited", code: "rate-limited" },
  "429 in Docker Hub's words": {
    ...{ image: "busy-hub.test/app:v1", failure: "rate-limited", code: "rate-limited" },
  },
  "429 from the server of tokens": {
    ...{ image: "busy-tokens.test/app:v1", failure: "rate-limited", code: "rate-limited" },
  },
  "403 without a word": { image: "closed.test/app:v1", failure: "forbidden", code: "no-registry" },
  "403 in the registry's words": {
    ...{ image: "denied.test/app:v1", secrets: ["denied"], failure: "forbidden", code: "forbidden" },
  },
  "an expired token of Amazon ECR": {
    ...{ image: "ecr.test/app:v1", secrets: ["ecr"] },
    // An old containerd does not repeat the words of a registry.
    ...(RELEASE === "newest"
      ? { failure: "expired", code: "secret-expired" }
      : { failure: "forbidden", code: "forbidden" }),
  },
  "401 without a challenge": {
    ...{ image: "odd.test/app:v1", secrets: ["denied"], failure: "unauthorized", code: "no-registry" },
  },
  "503 from a proxy": { image: "down.test/app:v1", failure: "network", code: "network" },
  "500 from the registry": { image: "broken.test/app:v1", failure: "unknown", code: "unknown" },
  "a page instead of a manifest": { image: "page.test/app:v1", failure: "unknown", code: "unknown" },
  "the policy Never": {
    ...{ image: "PASSWORD/good/app:never", secrets: ["good"], failure: "never-pulled", code: "never-pulled" },
    spec: {
      containers: [{ name: "main", image: "PASSWORD/good/app:never", imagePullPolicy: "Never" }],
    },
  },
  "a cached image that the pod may not use": {
    ...{ image: "PASSWORD/good/cached:v1", failure: "never-pulled", code: "never-pulled" },
    spec: { containers: [{ name: "main", image: "PASSWORD/good/cached:v1", imagePullPolicy: "Never" }] },
  },
  "a name that is none": {
    ...{ image: "Not/An/Image:v1", failure: "invalid-image-name", code: "invalid-image-name" },
  },
} as const satisfies Readonly<Record<string, Fault>>;

await describeLevel("node", "what a node says of images that it cannot pull", () => {
  let cluster: NodeCluster;
  let index: RegistryIndex;
  const secrets = new Map<string, PullSecretState>();
  const sightings = new Map<string, Sighting[]>();

  const inPlace = (text: string) =>
    text
      .replaceAll("PASSWORD", cluster.passwordRegistry.host)
      .replaceAll("TOKEN", cluster.tokenRegistry.host);

  beforeAll(async () => {
    cluster = await startNodeCluster();
    const { kubectl, passwordRegistry, tokenRegistry } = cluster;
    await createNamespace(kubectl, NAMESPACE, { "pullpass.dev/inject": "enabled" });
    for (const path of ["good/app:v1", "good/cached:v1"]) await passwordRegistry.push(path, REGISTRY_USER);
    await tokenRegistry.push("good/app:v1", REGISTRY_USER);
    const limited = { username: "limited", password: "made-up-limited" };
    await tokenRegistry.setUser(limited, (repository) => repository === "team-a/app");
    await startScriptedRegistries(cluster);

    const [password, token] = [passwordRegistry.host, tokenRegistry.host];
    index = indexRegistries([
      makeRegistry("team-a", `${password}/team-a`),
      makeRegistry("mistyped", `${password}/mistyped`, { secretName: "wrong" }),
      makeRegistry("elsewhere", `${password}/elsewhere`, { secretName: "elsewhere" }),
      makeRegistry("expiring", `${password}/expiring`, { secretName: "expired" }),
      makeRegistry("tokens", `${token}/team-a`),
      makeRegistry("mistyped-tokens", `${token}/mistyped`, { secretName: "wrong-tokens" }),
      makeRegistry("limited", `${token}/limited`, { secretName: "limited" }),
      makeRegistry("good", `${password}/good`, { secretName: "good" }),
    ]);
    const wrong = { username: "pullpass", password: "made-up-wrong" };
    const expired = { username: "AWS", password: ecrPassword(Date.now() - 60_000) };
    const credentials = {
      wrong: { server: `${password}/mistyped`, ...wrong },
      elsewhere: { server: "elsewhere.example.com", ...REGISTRY_USER },
      expired: { server: password, ...expired },
      "wrong-tokens": { server: token, ...wrong },
      limited: { server: token, ...limited },
      good: { server: password, ...REGISTRY_USER },
      "good-tokens": { server: token, ...REGISTRY_USER },
      hub: { server: "https://index.docker.io/v1/", ...REGISTRY_USER },
      denied: { server: "denied.test", ...wrong },
      ecr: { server: "ecr.test", username: "AWS", password: "made-up-opaque" },
    };
    for (const [name, credential] of Object.entries(credentials)) {
      await createPullSecret(kubectl, { name, namespace: NAMESPACE, ...credential });
      secrets.set(name, readPullSecret(await kubectl.json("get", "secret", name, `-n${NAMESPACE}`)));
    }

    await cachePrivateImage();
    for (const [title, fault] of Object.entries<Fault>(FAULTS)) {
      const imagePullSecrets = (fault.secrets ?? []).map((name) => ({ name }));
      const pod = podWith(fault.image, nameOf(title), { imagePullSecrets, ...fault.spec });
      await kubectl.create(JSON.parse(inPlace(JSON.stringify(pod))) as object);
    }
    // Kubelet appends the cause to what it says while it waits; it does so about 10 s after the first try.
    await waitUntil("every pod to fail, and to wait", collectSightings, { timeoutMs: 150_000 });
    if (process.env["UPDATE_FIXTURES"] === "1") await writeFixture();
  });
  afterAll(() => cluster.stop());

  /** A pod that may pull it puts it on the node, where another one's use of it is checked (KEP-2535). */
  async function cachePrivateImage(): Promise<void> {
    const pod = podWith(
      inPlace("PASSWORD/good/cached:v1"),
      { name: "caches", namespace: NAMESPACE },
      { imagePullSecrets: [{ name: "good" }] },
    );
    await cluster.kubectl.create(pod);
    await cluster.kubectl.waitFor<StoredPod>(
      ["pod", "caches", `--namespace=${NAMESPACE}`],
      ({ status }) => getString(status, "phase") === "Running",
    );
  }

  async function collectSightings(): Promise<boolean> {
    const { items } = await cluster.kubectl.json<{ readonly items: readonly StoredPod[] }>(
      ...["get", "pods", `--namespace=${NAMESPACE}`],
    );
    for (const pod of items) {
      const title = getString(pod.metadata["annotations"], "title");
      if (title === undefined) continue;
      const seen = sightings.get(title) ?? [];
      sightings.set(title, seen);
      for (const { reason, message } of waitingOf(pod)) {
        // So many pods at once are more than kubelet pulls for; it tries again.
        if (message.endsWith(KUBELET_LIMIT)) continue;
        if (!seen.some((one) => one.reason === reason && one.message === message))
          seen.push({ reason, message, diagnosis: diagnoseStored(pod) });
      }
    }
    const final = ["ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"];
    return Object.keys(FAULTS).every((title) =>
      sightings.get(title)?.some(({ reason }) => final.includes(reason)),
    );
  }

  function diagnoseStored(pod: StoredPod): Diagnosis {
    return diagnose(pod, {
      namespace: { isOptedIn: true, labels: {} },
      serviceAccount: undefined,
      index,
      pullSecret: (name) => secrets.get(name) ?? { kind: "missing" },
      registryCreatedAt: ({ name }) => (name === "team-a" ? Date.now() + 60_000 : undefined),
      now: Date.now(),
    });
  }

  async function writeFixture(): Promise<void> {
    const rows = Object.entries<Fault>(FAULTS).flatMap(([source, { failure }]) =>
      (sightings.get(source) ?? []).map(({ reason, message }) => ({
        ...{ source, failure, reason },
        // The addresses of this run.
        message: message.replaceAll(cluster.network.address(0).replace(/\.0$/, "."), "127.0.0."),
      })),
    );
    const { versions } = await nodeVersions();
    await mkdir(join(FIXTURE, ".."), { recursive: true });
    await writeFile(FIXTURE, `${JSON.stringify({ versions, rows }, undefined, 2)}\n`);
  }

  async function nodeVersions() {
    const { items } = await cluster.kubectl.json<{ readonly items: readonly { status: unknown }[] }>(
      ...["get", "nodes"],
    );
    const status = items[0]?.status;
    const info = isObject(status) ? status["nodeInfo"] : undefined;
    const [kubelet, containerd] = ["kubeletVersion", "containerRuntimeVersion"].map((key) =>
      getString(info, key),
    );
    return { versions: { kubelet, containerd } };
  }

  describe("is told by", () => {
    it.each(Object.entries<Fault>(FAULTS))("%s", (title, { failure, code }) => {
      const seen = sightings.get(title) ?? [];
      expect(seen).not.toEqual([]);
      for (const { message, diagnosis } of seen) {
        const verdicts = diagnosis.containers.map((found) => [found.failure, found.code]);
        expect([...verdicts, diagnosis.code], message).toEqual([[failure, code], code]);
      }
    });
  });

  it("shows no password, and names the image of the container or of the volume", () => {
    const text = JSON.stringify([...sightings.values()].flat().map(({ diagnosis }) => diagnosis));
    expect(text).not.toMatch(/made-up|pass:word/);
    const volume = sightings.get("a volume whose image does not exist")?.[0]?.diagnosis;
    expect(volume?.containers[0]?.image).toBe(inPlace("PASSWORD/good/data:absent"));
  });
});

function nameOf(title: string): object {
  const name = title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 60);
  return { name: name.replace(/-$/, ""), namespace: NAMESPACE, annotations: { title } };
}

function waitingOf({ status }: StoredPod): readonly { reason: string; message: string }[] {
  if (!isObject(status)) return [];
  return [status["initContainerStatuses"], status["containerStatuses"]].flatMap(asArray).flatMap((one) => {
    const state = isObject(one) ? one["state"] : undefined;
    const waiting = isObject(state) ? state["waiting"] : undefined;
    const [reason = "", message = ""] = ["reason", "message"].map((key) => getString(waiting, key));
    return message === "" || reason === "PodInitializing" ? [] : [{ reason, message }];
  });
}

/** As Amazon ECR gives them out. */
function ecrPassword(expiresAt: number): string {
  const content = {
    payload: "made-up",
    version: "2",
    type: "DATA_KEY",
    expiration: Math.floor(expiresAt / 1000),
  };
  return Buffer.from(JSON.stringify(content)).toString("base64");
}

/** Registries that answer with the same fault to everybody, by the host of the image. */
async function startScriptedRegistries({ network, node, authority }: NodeCluster): Promise<void> {
  const directory = join(network.directory, "scripted");
  await mkdir(directory, { recursive: true });
  const authorityFile = join(directory, "ca.crt");
  await writeFile(authorityFile, authority.pem);
  const hostname = network.address(20);
  const certificate = { commonName: "scripted", hosts: [hostname] };
  const trusted = await authority.issue(certificate);
  const expired = await authority.issue({ ...certificate, notAfter: new Date(Date.now() - 60_000) });
  const misnamed = await authority.issue({ ...certificate, hosts: ["registry.example.com"] });
  const untrusted = await (await createAuthority("somebody else")).issue(certificate);

  const serve = async (host: string, reply: Reply, pair: KeyPair = trusted) => {
    const tls = { certificate: pair.certificatePem, privateKey: pair.keyPem };
    const server = await startOddServer(() => reply, { hostname, tls });
    await node.containerd.trustRegistry(host, `https://${server.host}`, authorityFile);
    return server.url;
  };
  const error = (status: number, code: string, message: string): Reply => ({
    status,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ errors: [{ code, message }] }),
  });

  const plain = await startOddServer(() => ({ status: 200 }), { hostname });
  await node.containerd.trustRegistry("plain.test", `https://${plain.host}`, authorityFile);
  await serve("expired.test", {}, expired);
  await serve("untrusted.test", {}, untrusted);
  await serve("misnamed.test", {}, misnamed);
  await node.containerd.trustRegistry("silent.test", `https://${hostname}:1`, authorityFile);
  // A name that exists nowhere (RFC 6761). Where there is no resolver to say so, the node does not reach it, either.
  await node.containerd.trustRegistry("nowhere.test", "https://nowhere.invalid", authorityFile);
  await serve("busy.test", { status: 429 });
  const busy =
    "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit";
  await serve("busy-hub.test", error(429, "TOOMANYREQUESTS", busy));
  const tokens = await serve("busy-token-server.test", { status: 429 });
  const challenge = `Bearer realm="${tokens}/token",service="registry"`;
  await serve("busy-tokens.test", { status: 401, headers: { "www-authenticate": challenge } });
  await serve("closed.test", { status: 403 });
  await serve("denied.test", error(403, "DENIED", "requested access to the resource is denied"));
  await serve(
    "ecr.test",
    error(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."),
  );
  await serve("odd.test", { status: 401 });
  await serve("down.test", { status: 503 });
  await serve("broken.test", { status: 500 });
  await serve("page.test", { headers: { "content-type": "text/html" }, body: "<html></html>" });
}
