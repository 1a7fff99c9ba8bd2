/**
 * A registry whose password changes every half minute, a program that hands out the newest, and pods over time, each of which pulls an
 * image of its own, so that no layer that is there already hides a refused pull.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sendRequest } from "../send-request.ts";
import { AUDIT_FLAGS, auditedWrites } from "./harness/audit.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { podWith, pullFaultsIn, waitForRunning } from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
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

await describeLevel("node", "a password that changes every 30 s", () => {
  let cluster: NodeCluster;
  let rotation: Rotation;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startNodeCluster({ apiServerFlags: AUDIT_FLAGS });
    const { network, tokenRegistry } = cluster;
    const directory = join(network.directory, "providers");
    await mkdir(directory);
    rotation = await startRotation(directory, tokenRegistry.host);
    tokenRegistry.setPasswords(ROTATING_USER, rotation.isPassword);
    const address = `${tokenRegistry.host}/rotating`;
    const auth = { type: "Provider", provider: "rotating" };
    webhook = await startWebhook(cluster, {
      providers: [rotation.provider],
      registries: [{ name: "rotating", address, auth, use: ["pull"] }],
      flags: [`--credential-provider-bin-dir=${directory}`],
    });
    await createNamespace(cluster.kubectl, NAMESPACE, { "pullpass.dev/inject": "enabled" });
  });
  afterAll(async () => {
    rotation.stop();
    await webhook.stop();
    await cluster.stop();
  });

  const statusOfLogin = async (password: string) => {
    const authorization = `Basic ${Buffer.from(`${ROTATING_USER}:${password}`).toString("base64")}`;
    const { realm } = cluster.tokenRegistry;
    return (await sendRequest(realm, { headers: { authorization }, ca: cluster.authority.pem })).status;
  };

  it(
    `lets each of ${String(PODS)} pods pull an image of its own`,
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
        await waitForRunning(cluster, name, NAMESPACE);
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
      expect(await pullFaultsIn(cluster, NAMESPACE)).toEqual([]);
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
