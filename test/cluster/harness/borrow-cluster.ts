import { readdir, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { waitUntil } from "../../wait-until.ts";
import { AUDIT_FLAGS } from "./audit.ts";
import { startCluster, type Cluster } from "./cluster.ts";
import { nameOf, readKeys, writeKeys } from "./etcd.ts";

/**
 * A control plane that one test file after the other has, in the process that runs them: a start costs five seconds of processor
 * time, what the last one left is removed in a tenth of that. Its API server writes every request of Pullpass to its log. It ends
 * with the process.
 */
export async function borrowCluster(): Promise<Cluster> {
  shared ??= startShared();
  const borrowed = await shared;
  await borrowed.reset();
  return borrowed.cluster;
}

let shared: ReturnType<typeof startShared> | undefined;

async function startShared(): Promise<{ readonly cluster: Cluster; reset(): Promise<void> }> {
  const cluster = await startCluster({ apiServerFlags: AUDIT_FLAGS });
  const { directory } = cluster.network;
  const files = new Set(await filesIn(directory));
  const stored = await readSettled(cluster.etcdUrl);
  return {
    cluster,
    async reset() {
      await restore(cluster.etcdUrl, stored);
      const added = (await filesIn(directory)).filter((file) => !files.has(file));
      await Promise.all(added.map((file) => rm(join(directory, file), { recursive: true })));
      // Whoever writes them appends.
      for (const log of [cluster.apiServerLog, cluster.controllerManagerLog]) await truncate(log);
    },
  };
}

/** In the cluster's directory and in that of its logs, which are all that tests write to. */
async function filesIn(directory: string): Promise<readonly string[]> {
  const [own, logs] = await Promise.all([readdir(directory), readdir(join(directory, "log"))]);
  return [...own, ...logs.map((name) => join("log", name))];
}

/** Values by keys, both as etcd's JSON has them: in base64. */
type Stored = ReadonlyMap<string, string>;

/** By it an API server says that it is there. */
const HEARTBEATS = /^\/registry\/(leases\/kube-system\/apiserver-|peerserverleases\/)/;
const NAMESPACES = "/registry/namespaces/";
/** The API server looks every second which there are. */
const POLICIES = /^\/registry\/(mutating|validating)admissionpolic/;

/**
 * Brings etcd back to what it was. The API server and the controllers learn of it as of what another API server writes. Namespaces
 * go first, so that nobody makes anything in them any more; a controller may have begun to, so that it is looked at again. What
 * somebody brings back three times, such as a role that is made of others, is theirs to keep right.
 */
async function restore(etcdUrl: string, before: Stored): Promise<void> {
  const rounds = new Map<string, number>();
  const deadline = Date.now() + 30_000;
  const unlikeBefore = async (): Promise<readonly string[]> => {
    const now = await readStored(etcdUrl);
    const keys = [...new Set([...now.keys(), ...before.keys()])];
    return keys.filter((key) => now.get(key) !== before.get(key) && (rounds.get(key) ?? 0) < 3);
  };
  for (let keys = await unlikeBefore(); keys.length > 0; keys = await unlikeBefore()) {
    // Somebody of the file before still writes.
    if (Date.now() > deadline)
      throw new Error(`etcd does not stay as it was: ${keys.map(nameOf).join(", ")}`);
    const namespaces = keys.filter((key) => nameOf(key).startsWith(NAMESPACES));
    const first = namespaces.length > 0 ? namespaces : keys;
    await writeKeys(
      etcdUrl,
      first.map((key) => {
        const value = before.get(key);
        return value === undefined ? { requestDeleteRange: { key } } : { requestPut: { key, value } };
      }),
    );
    for (const key of first) rounds.set(key, (rounds.get(key) ?? 0) + 1);
    await sleep(100);
  }
  if ([...rounds.keys()].some((key) => POLICIES.test(nameOf(key)))) await sleep(1_500);
}

/** Once nobody adds to it any more. */
async function readSettled(etcdUrl: string): Promise<Stored> {
  let last = await readStored(etcdUrl);
  return waitUntil(
    "the control plane to have settled",
    async () => {
      const before = last;
      last = await readStored(etcdUrl);
      return isDeepStrictEqual(last, before) && last;
    },
    { intervalMs: 1_000 },
  );
}

async function readStored(etcdUrl: string): Promise<Stored> {
  const all = await readKeys(etcdUrl, "/registry/", "/registry0");
  return new Map(
    all.filter(({ key }) => !HEARTBEATS.test(nameOf(key))).map(({ key, value }) => [key, value]),
  );
}
