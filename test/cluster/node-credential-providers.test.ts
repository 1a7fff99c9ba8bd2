/**
 * Credentials that end, from the program that hands them out to a pod that runs.
 *
 * The programs of clouds are the real ones. Two have no module that can be built here, and are not in it: Google's plugin for kubelet,
 * auth-provider-gcp, and Azure's, acr-credential-provider. docker's helpers for both are.
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { MAIN } from "../cli/run-pullpass.ts";
import { sendRequest } from "../send-request.ts";
import { AUDIT_FLAGS, auditedWrites } from "./harness/audit.ts";
import { buildGoTool } from "./harness/build-go-tool.ts";
import {
  ACR_HOST,
  ARTIFACT_REGISTRY_HOST,
  ECR_HOST,
  GOOGLE_USER,
  startCloudApis,
  type CloudApis,
} from "./harness/cloud-apis.ts";
import { reportToStandardError } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { podWith, type PodObject } from "./harness/pods.ts";
import { copiesIn } from "./harness/read-copies.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { forwardPort } from "./harness/tcp-proxies.ts";
import { CREDENTIAL_PLUGINS } from "./harness/tools.ts";
import { waitUntil } from "../wait-until.ts";

/** A pod every six seconds: 20 take two minutes, and 100 ten. */
const PODS = Number(process.env["PULLPASS_ROTATION_PODS"] ?? 20);
const POD_EVERY_MS = 6000;
const PASSWORD_EVERY_MS = 30_000;
/**
 * Pullpass runs a program once a minute at most, and so never learns of every other password. A password may be half a minute old when it
 * is handed out, is in use for a minute and a tenth until the program runs again, and a moment longer until kubelet sees the new copy. With
 * less than a hundred seconds nobody who asks once a minute could work; these are two minutes, after which the registry refuses it.
 */
const PASSWORD_LIFETIME_MS = 120_000;
const ROTATING_USER = "rotating";
const NAMESPACE = "team-a";
/** In a mount namespace of its own, so that the machine sees none of it. */
const WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';

interface EventList {
  readonly items: readonly { readonly reason: string; readonly message: string }[];
}

await describeLevel("node", "credentials that end", () => {
  let cluster: NodeCluster;
  let client: Transport;
  let apis: CloudApis;
  let rotation: Rotation;
  let webhook: RunningWebhook;
  let directories: readonly string[];
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    const programs = await buildGoTool(CREDENTIAL_PLUGINS, reportToStandardError);
    const registryNames = [ECR_HOST, ARTIFACT_REGISTRY_HOST, ACR_HOST];
    cluster = await startNodeCluster({ apiServerFlags: AUDIT_FLAGS, registryNames });
    client = createTestKubeClient(cluster);
    const { node, network, authority, passwordRegistry, tokenRegistry } = cluster;
    const directory = join(network.directory, "providers");
    await mkdir(directory);
    apis = await startCloudApis({ host: network.address(14), authority, directory });
    rotation = await startRotation(directory, tokenRegistry.host);
    directories = [programs, directory];

    await passwordRegistry.setUser(apis.ecrLogin);
    await tokenRegistry.setUser(apis.acrLogin);
    tokenRegistry.setPasswords(GOOGLE_USER, apis.isGoogleToken);
    tokenRegistry.setPasswords(ROTATING_USER, rotation.isPassword);
    const registryOf = (name: string) => (name === ECR_HOST ? passwordRegistry : tokenRegistry);
    for (const [index, name] of registryNames.entries()) {
      const { url, authorityFile, host } = registryOf(name);
      await node.containerd.trustRegistry(name, url, authorityFile);
      const [address = "", port] = host.split(":");
      const from = { host: network.address(15 + index), port: 443 };
      stops.push(await forwardPort(from, { host: address, port: Number(port) }));
    }
    webhook = await startWebhook(cluster, { ...configuration(), flags: programFlags() });
    await createNamespace(cluster.kubectl, NAMESPACE, { "pullpass.dev/inject": "enabled" });
  });
  afterAll(async () => {
    rotation.stop();
    await webhook.stop();
    for (const stop of [...stops, () => apis.stop()]) await stop();
    client.close();
    await cluster.stop();
  });

  const configuration = () => ({
    providers: [...apis.providers, rotation.provider],
    registries: [
      registry("ecr", `${ECR_HOST}/team-a`, "ecr-credential-provider"),
      registry("ecr-helper", `${ECR_HOST}/team-b`, "docker-credential-ecr-login"),
      registry("artifact-registry", `${ARTIFACT_REGISTRY_HOST}/made-up/team-a`, "docker-credential-gcr"),
      registry("acr", ACR_HOST, "docker-credential-acr-env"),
      registry("rotating", `${cluster.tokenRegistry.host}/rotating`, "rotating"),
    ],
  });
  const programFlags = () => [`--credential-provider-bin-dir=${directories.join(":")}`];
  const waitForRunning = (name: string) =>
    cluster.kubectl.waitFor<PodObject>(
      ["pod", name, `--namespace=${NAMESPACE}`],
      ({ status }) => status?.phase === "Running",
      { intervalMs: 500, timeoutMs: 60_000 },
    );
  const faults = async () => {
    const { items } = await cluster.kubectl.json<EventList>("get", "events", `--namespace=${NAMESPACE}`);
    return items.filter(
      ({ reason, message }) => /image|pull/i.test(message) && /Fail|BackOff|Err/.test(reason),
    );
  };
  /** Runs `pullpass check` where the names of clouds lead to the registries here, and makes sure that it gives nothing away. */
  const check = async (...flags: readonly string[]) => {
    const { network, passwordRegistry } = cluster;
    const hosts = join(network.directory, "hosts");
    const lines = [ECR_HOST, ARTIFACT_REGISTRY_HOST, ACR_HOST].map(
      (name, index) => `${network.address(15 + index)} ${name}\n`,
    );
    await writeFile(hosts, lines.join(""));
    const command = [
      process.execPath,
      MAIN,
      "check",
      `--config=${webhook.configFile}`,
      ...programFlags(),
      ...flags,
    ];
    const child = spawn(
      "unshare",
      ["--mount", "--propagation", "private", "sh", "-c", WITH_HOSTS, "check", hosts, ...command],
      { env: { PATH: process.env["PATH"], NODE_EXTRA_CA_CERTS: passwordRegistry.authorityFile } },
    );
    const closed = once(child, "close");
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [status] = (await closed) as readonly unknown[];
    for (const secret of [apis.ecrLogin.password, apis.acrLogin.password, "eyJ", rotation.current()])
      expect(stdout + stderr).not.toContain(secret);
    return { stdout, stderr, status };
  };

  const statusOfLogin = async (password: string) => {
    const authorization = `Basic ${Buffer.from(`${ROTATING_USER}:${password}`).toString("base64")}`;
    const { realm } = cluster.tokenRegistry;
    return (await sendRequest(realm, { headers: { authorization }, ca: cluster.authority.pem })).status;
  };

  it("are checked: each program runs once, and says what came", async () => {
    console.log(await check());
  });

  it("are checked: what each program hands out logs in", async () => {
    console.log(await check("--login"));
  });

  it.each([
    ["ecr-credential-provider", `${ECR_HOST}/team-a`],
    ["docker-credential-ecr-login", `${ECR_HOST}/team-b`],
    ["docker-credential-gcr", `${ARTIFACT_REGISTRY_HOST}/made-up/team-a`],
    ["docker-credential-acr-env", `${ACR_HOST}/team-a`],
  ])("let a pod pull and run: those of %s", async (provider, address) => {
    const [host = "", ...path] = address.split("/");
    const registryBehind = host === ECR_HOST ? cluster.passwordRegistry : cluster.tokenRegistry;
    await registryBehind.push(`${path.join("/")}/app:v1`, REGISTRY_USER);
    await cluster.kubectl.create(podWith(`${address}/app:v1`, { name: provider, namespace: NAMESPACE }));
    await waitForRunning(provider);
    expect(await faults()).toEqual([]);
  });

  it("are not asked for again by a Pullpass that is started again", async () => {
    const asked = apis.requests.length;
    const before = await copiesIn(client, NAMESPACE);
    await webhook.stop();
    await webhook.start();
    await sleep(3000);
    expect(apis.requests.slice(asked)).toEqual([]);
    expect(await copiesIn(client, NAMESPACE)).toEqual(before);
  });

  it(
    `let each of ${String(PODS)} pods pull an image of its own while the password changes every 30 s`,
    { timeout: PODS * POD_EVERY_MS + 300_000 },
    async () => {
      const { kubectl, tokenRegistry } = cluster;
      const names = Array.from({ length: PODS }, (_, index) => `rotating-${String(index)}`);
      const images = new Map<string, string>();
      for (const name of names)
        images.set(name, await tokenRegistry.push(`rotating/${name}:v1`, REGISTRY_USER));
      const first = rotation.current();
      const writesBefore = (await auditedWrites(cluster, NAMESPACE)).length;
      const runsBefore = await rotation.runs();
      const startedAt = Date.now();
      const seconds: number[] = [];
      const runPod = async (name: string, index: number) => {
        await sleep(index * POD_EVERY_MS);
        const createdAt = Date.now();
        await kubectl.create(podWith(images.get(name) ?? "", { name, namespace: NAMESPACE }));
        await waitForRunning(name);
        seconds.push((Date.now() - createdAt) / 1000);
        await kubectl.run(["delete", "pod", name, `--namespace=${NAMESPACE}`, "--grace-period=0", "--force"]);
      };
      await Promise.all(names.map(runPod));
      const tookMs = Date.now() - startedAt;

      const asked = names.map((name) =>
        tokenRegistry.tokenRequests
          .filter(
            ({ username, scopes }) =>
              username === ROTATING_USER && scopes.includes(`repository:rotating/${name}:pull`),
          )
          .map(({ status }) => status),
      );
      const runs = (await rotation.runs()) - runsBefore;
      const writes = (await auditedWrites(cluster, NAMESPACE)).length - writesBefore;
      process.stderr.write(
        `${String(PODS)} pods in ${String(Math.round(tookMs / 1000))} s: the slowest ran after ${Math.max(...seconds).toFixed(1)} s; ` +
          `${String(rotation.made())} passwords, ${String(rotation.used())} of them used; ` +
          `${String(runs)} runs of the program, ${String(writes)} writes of the copy; ` +
          `${String(asked.flat().filter((status) => status !== 200).length)} refused\n`,
      );
      expect(await faults()).toEqual([]);
      // Each pod's pull was let in at once.
      expect(
        asked.filter((statuses) => statuses.length === 0 || statuses.some((status) => status !== 200)),
      ).toEqual([]);
      // Once a minute at most, and the copy only then.
      expect(runs).toBeLessThanOrEqual(Math.ceil(tookMs / 60_000));
      expect(rotation.used()).toBeGreaterThanOrEqual(Math.floor(tookMs / 66_000));
      expect(writes).toBeLessThanOrEqual(runs);
      // The registry means it.
      await waitUntil("the first password to end", () => !rotation.isPassword(first), {
        timeoutMs: PASSWORD_LIFETIME_MS,
      });
      expect(await statusOfLogin(first)).toBe(401);
      expect(await statusOfLogin(rotation.current())).toBe(200);
    },
  );
});

function registry(name: string, address: string, provider: string) {
  return { name, address, auth: { type: "Provider", provider }, use: ["pull"] };
}

/** A password that changes, each of which is taken for a while, and a program that hands out the newest. */
interface Rotation {
  /** Its entry of `providers`. */
  readonly provider: object;
  current(): string;
  readonly isPassword: (password: string) => boolean;
  made(): number;
  /** How many of them somebody was let in with. */
  used(): number;
  /** How often the program ran. */
  runs(): Promise<number>;
  stop(): void;
}

/** Nothing but a shell: it reads what it is asked, and says for how long the password is the newest. */
const PROGRAM = `#!/bin/sh
read -r request
echo run >> "$DIRECTORY/runs"
read -r password < "$DIRECTORY/password"
printf '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1",'
printf '"cacheKeyType":"Registry","cacheDuration":"30s",'
printf '"auth":{"%s":{"username":"${ROTATING_USER}","password":"%s"}}}' "$HOST" "$password"
`;

async function startRotation(directory: string, host: string): Promise<Rotation> {
  const passwords = new Map<string, number>();
  const used = new Set<string>();
  let current = "";
  const change = async () => {
    current = `made-up-${randomUUID()}`;
    passwords.set(current, Date.now());
    await writeFile(join(directory, "password.new"), `${current}\n`);
    await rename(join(directory, "password.new"), join(directory, "password"));
  };
  await change();
  const timer = setInterval(() => void change(), PASSWORD_EVERY_MS);
  await writeFile(join(directory, "rotating"), PROGRAM, { mode: 0o755 });
  await writeFile(join(directory, "runs"), "");
  return {
    provider: {
      name: "rotating",
      apiVersion: "credentialprovider.kubelet.k8s.io/v1",
      matchImages: [`${host}/rotating`],
      defaultCacheDuration: "30s",
      env: [
        { name: "DIRECTORY", value: directory },
        { name: "HOST", value: host },
      ],
    },
    current: () => current,
    isPassword(password) {
      const isTaken = Date.now() - (passwords.get(password) ?? -Infinity) < PASSWORD_LIFETIME_MS;
      if (isTaken) used.add(password);
      return isTaken;
    },
    made: () => passwords.size,
    used: () => used.size,
    runs: async () => (await readFile(join(directory, "runs"), "utf8")).split("\n").length - 1,
    stop() {
      clearInterval(timer);
    },
  };
}
