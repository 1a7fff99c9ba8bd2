/**
 * The replicator at a real API server, with the figures that the design asks for beside those that were measured:
 * how soon a namespace has its copies, how many writes many namespaces take, and the memory of it.
 */
import { spawnSync } from "node:child_process";
import { loadavg } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { registryCrd } from "../../src/config/registry-crd.ts";
import { clusterRegistry, offeredLogin } from "../cluster/harness/registry-objects.ts";
import { startCluster, type Cluster } from "../cluster/harness/cluster.ts";
import { waitUntil } from "../wait-until.ts";
import type { Transport } from "../../src/kube/transport.ts";
import { awaitFirstWrite, awaitLeadership, awaitWrites } from "./await-writes.ts";
import { countSecretWrites, countWrites } from "./count-writes.ts";
import { countObjects, createBenchClient, createNamespaces, timeOptIn } from "./opt-in.ts";
import { describeMemory, describeTimes, printRow, seconds } from "./print-row.ts";
import { shippedFlags } from "./shipped-flags.ts";
import { prepareServiceAccount, startInPod, type RunningPod } from "./start-in-pod.ts";
import {
  writeConfiguration,
  writeProviderConfiguration,
  type BenchConfiguration,
} from "./write-configuration.ts";

const MANY = Number(process.env["BENCH_NAMESPACES"] ?? 10_000);
const SOME = Number(process.env["BENCH_NAMESPACES_BEFORE"] ?? 1_000);
const OPT_INS = Number(process.env["BENCH_OPT_INS"] ?? 200);
const REQUESTS_PER_SECOND = Number(process.env["BENCH_QPS"] ?? 300);
const SETTLE_MS = Number(process.env["BENCH_SETTLE_SECONDS"] ?? 60) * 1000;
/** Which parts run: `fill`, `soon`, `many`, `objects`, `renew`. */
const PARTS = (process.env["BENCH_PARTS"] ?? "fill,soon,many,objects,renew").split(",");
const REGISTRIES = 5;
const OBJECTS = 20;
const RENEWED = 20;
/** Each registry's, and the one for builds. */
const COPIES = REGISTRIES + 1;

const node = [process.execPath, ...shippedFlags()] as const;

async function main(): Promise<void> {
  const version = spawnSync(node[0], ["--version"], { encoding: "utf8" }).stdout.trim();
  const load = loadavg()[0]?.toFixed(1) ?? "unknown";
  const flags = node.slice(1).join(" ");
  console.log(
    `Node ${version} ${flags}, ${REGISTRIES.toString()} registries; load of the machine before: ${load}\n`,
  );
  console.log("| what | target | measured |\n| --- | --- | --- |");
  if (PARTS.includes("fill")) await inCluster(measureFill, 1);
  if (PARTS.includes("soon")) await inCluster(measureOptIns);
  if (PARTS.includes("many")) await inCluster(measureMany);
  if (PARTS.includes("objects")) await inCluster(measureObjects, 0);
  if (PARTS.includes("renew")) await inCluster(measureRenewals, RENEWED, writeProviderConfiguration);
}

interface Bench {
  readonly cluster: Cluster;
  readonly client: Transport;
  readonly start: (flags: readonly string[]) => Promise<RunningPod>;
  readonly rotate: BenchConfiguration["rotate"];
}

async function inCluster(
  measure: (bench: Bench) => Promise<void>,
  registries = REGISTRIES,
  write = writeConfiguration,
): Promise<void> {
  const cluster = await startCluster({ apiServerFlags: ["--v=0"] });
  const client = await createBenchClient(cluster);
  try {
    await prepareServiceAccount(cluster);
    const { configFile, flags, rotate } = await write(
      path.join(cluster.network.directory, "config"),
      registries,
    );
    const start = (more: readonly string[]): Promise<RunningPod> =>
      startInPod(cluster, { node, configFile, flags: [...flags, ...more] });
    await measure({ cluster, client, start, rotate });
  } finally {
    client.close();
    await cluster.stop();
  }
}

/** With the default rate: that of the API server. */
async function measureFill({ cluster, client, start }: Bench): Promise<void> {
  await createNamespaces(client, names("before", SOME), true);
  await settle(client);
  const before = await countSecretWrites(cluster);
  const pod = await start([]);
  const ledMs = await awaitLeadership(pod);
  const filledMs = await waitUntil("all copies", () => pod.loggedAfterMs("copies are in place"), {
    timeoutMs: 120_000,
  });
  // The registry's, and the one for builds.
  const expected = (2 * SOME).toString();
  printRow(
    `${SOME.toString()} opted-in namespaces, one registry: until all have it`,
    "6 s",
    seconds(filledMs - ledMs),
  );
  printRow("writes of that", expected, (await countSecretWrites(cluster)) - before);
  await pod.stop();
}

async function measureOptIns({ cluster, client, start }: Bench): Promise<void> {
  await createNamespaces(client, names("before", SOME), true);
  await createNamespaces(client, names("late", OPT_INS), false);
  await settle(client);
  const filling = await start(fastFlags());
  await awaitWrites(filling, "create", SOME * COPIES, REQUESTS_PER_SECOND);
  await filling.stop();

  const pod = await start([]);
  await awaitLeadership(pod);
  const before = await countSecretWrites(cluster);
  const times = await timeOptIns(client, names("late", OPT_INS), () => true);
  const what = `opted-in namespace to its ${COPIES.toString()} copies, ${SOME.toString()} there already`;
  printRow(`${what}, p99`, "< 250 ms", describeTimes(times));
  const written = (await countSecretWrites(cluster)) - before;
  printRow("writes of that", (OPT_INS * COPIES).toString(), written.toString());
  printRow("memory then", "", describeMemory(pod));
  await pod.stop();
}

async function measureMany({ cluster, client, start, rotate }: Bench): Promise<void> {
  const idle = await start([]);
  await awaitLeadership(idle);
  await sleep(SETTLE_MS);
  printRow("memory, idle, without namespaces", "120 MiB", describeMemory(idle));
  await idle.stop();

  await createNamespaces(client, names("many", MANY), true);
  await createNamespaces(client, names("late", OPT_INS), false);
  await settle(client);
  let before = await countSecretWrites(cluster);
  let pod = await start(fastFlags());
  const title = `${MANY.toString()} namespaces x ${REGISTRIES.toString()} registries`;
  const expected = MANY * COPIES;
  const tookMs = await awaitWrites(pod, "create", expected, REQUESTS_PER_SECOND);
  printRow(`${title}: writes`, expected.toString(), (await countSecretWrites(cluster)) - before);
  printRow("time of that", describeRate(expected), seconds(tookMs));
  printRow("memory, right after it", "150 MiB", describeMemory(pod));
  await sleep(SETTLE_MS);
  printRow(`memory, ${seconds(SETTLE_MS)} later`, "150 MiB", describeMemory(pod));
  await pod.stop();

  before = await countSecretWrites(cluster);
  pod = await start(fastFlags());
  printRow("restart: until it leads", "", seconds(await awaitLeadership(pod)));
  await sleep(SETTLE_MS);
  printRow("restart: writes", "0", (await countSecretWrites(cluster)) - before);
  printRow("restart: memory", "150 MiB", describeMemory(pod));

  before = await countSecretWrites(cluster);
  let isRotated = false;
  await rotate();
  // Of the registry's own copy, and of the build secret that holds it, too.
  const rotation = awaitWrites(pod, "update", 2 * MANY, REQUESTS_PER_SECOND).finally(
    () => (isRotated = true),
  );
  // One that was opted in before the new password is known would be written twice.
  await awaitFirstWrite(pod, "update");
  const times = await timeOptIns(client, names("late", OPT_INS), () => !isRotated);
  const rotationMs = await rotation;
  const withNews = 2 * MANY + times.length * COPIES;
  printRow(
    "rotation of one registry: writes",
    withNews.toString(),
    (await countSecretWrites(cluster)) - before,
  );
  printRow("time of that", describeRate(withNews), seconds(rotationMs));
  printRow("namespaces opted in meanwhile, p99", "< 250 ms", describeTimes(times));
  printRow("memory, right after it", "150 MiB", describeMemory(pod));
  await sleep(SETTLE_MS);
  printRow(`memory, ${seconds(SETTLE_MS)} later`, "150 MiB", describeMemory(pod));
  await pod.stop();
}

/** ClusterRegistries beside many namespaces, with the default rate: how often their status is written. */
async function measureObjects({ cluster, client, start }: Bench): Promise<void> {
  const { kubectl } = cluster;
  await kubectl.apply(registryCrd());
  await kubectl.run(["wait", "--for=condition=Established", "crd/clusterregistries.pullpass.dev"]);
  await createNamespaces(client, names("many", MANY), true);
  await settle(client);
  const objects = names("registry", OBJECTS);
  await kubectl.apply(
    ...objects.flatMap((name) => [
      offeredLogin(name, { username: "user", password: "made-up" }),
      clusterRegistry(name, { address: `${name}.example.com`, use: ["pull"] }),
    ]),
  );
  const before = await countWrites(cluster, "clusterregistries");
  const startedAt = performance.now();
  const pod = await start([]);
  await waitUntil("all registries to be ready", () => areSynced(kubectl, MANY), {
    timeoutMs: 1_800_000,
    intervalMs: 2000,
  });
  const title = `${MANY.toString()} namespaces x ${OBJECTS.toString()} ClusterRegistries`;
  printRow(`${title}: until all are Synced`, "", seconds(performance.now() - startedAt));
  printRow("copies written", (MANY * OBJECTS).toString(), await pod.metric("pullpass_copies"));
  const written = await countWrites(cluster, "clusterregistries");
  printRow("writes of a status", "", `${(written - before).toString()} of ${OBJECTS.toString()} objects`);
  printRow("memory then", "", describeMemory(pod));
  await pod.stop();
  const again = await start([]);
  await awaitLeadership(again);
  await sleep(SETTLE_MS);
  printRow("restart: writes of a status", "0", (await countWrites(cluster, "clusterregistries")) - written);
  await again.stop();
}

/** Registries whose credentials end at the same time, and all have a provider: what their renewal costs, and whom it delays. */
async function measureRenewals({ cluster, client, start, rotate }: Bench): Promise<void> {
  await createNamespaces(client, names("many", MANY), true);
  await createNamespaces(client, names("late", OPT_INS), false);
  await settle(client);
  const pod = await start(fastFlags());
  const title = `${MANY.toString()} namespaces x ${RENEWED.toString()} registries with a provider`;
  const copies = MANY * RENEWED;
  const filledMs = await awaitWrites(pod, "create", copies, REQUESTS_PER_SECOND);
  printRow(`${title}: until all copies are there`, describeRate(copies), seconds(filledMs));
  printRow("memory then", "", describeMemory(pod));
  const before = await countSecretWrites(cluster);
  await rotate();
  // The programs run once a minute.
  await awaitFirstWrite(pod, "update", 90_000);
  let isRenewed = false;
  const renewal = awaitWrites(pod, "update", copies, REQUESTS_PER_SECOND).finally(() => (isRenewed = true));
  const times = await timeOptIns(client, names("late", OPT_INS), () => !isRenewed, RENEWED);
  const renewalMs = await renewal;
  const expected = copies + times.length * RENEWED;
  printRow(
    "all of them renewed at once: writes, and a few of the answers",
    expected.toString(),
    (await countSecretWrites(cluster)) - before,
  );
  printRow("time of that", describeRate(expected), seconds(renewalMs));
  printRow("namespaces opted in meanwhile, p99", "< 250 ms", describeTimes(times));
  printRow("memory, right after it", "", describeMemory(pod));
  await pod.stop();
}

async function areSynced(kubectl: Cluster["kubectl"], count: number): Promise<boolean> {
  const path = "{range .items[*]}{.status.namespaces.synced} {end}";
  const { stdout } = await kubectl.run(["get", "clusterregistries", `--output=jsonpath=${path}`]);
  return stdout
    .trim()
    .split(" ")
    .every((synced) => synced === count.toString());
}

function fastFlags(): readonly string[] {
  const rate = REQUESTS_PER_SECOND.toString();
  return [`--kube-api-qps=${rate}`, `--kube-api-burst=${rate}`];
}

/** One after the other, a moment apart, so that none waits for the one before it. */
async function timeOptIns(
  client: Transport,
  late: readonly string[],
  goesOn: () => boolean,
  copies = COPIES,
): Promise<readonly number[]> {
  const times: number[] = [];
  for (const name of late) {
    if (!goesOn()) break;
    times.push(await timeOptIn(client, name, copies));
    await sleep(50);
  }
  return times;
}

/** Until every namespace has its account, and the controller manager has nothing more to do. */
async function settle(client: Transport): Promise<void> {
  await waitUntil(
    "the default accounts",
    async () => (await countObjects(client, "serviceaccounts")) >= (await countObjects(client, "namespaces")),
    { timeoutMs: 600_000, intervalMs: 1000 },
  );
  await sleep(3000);
}

function names(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index.toString().padStart(5, "0")}`);
}

function describeRate(requests: number): string {
  const target = seconds((requests * 1000) / REQUESTS_PER_SECOND);
  return `${target} at ${REQUESTS_PER_SECOND.toString()} requests/s`;
}

await main();
