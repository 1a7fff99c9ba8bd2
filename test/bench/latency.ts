/**
 * What Pullpass adds to the time of a pod's creation at a real API server, by its webhook and by its policy, beside what a
 * policy by hand with the same ten registries adds, and the smallest webhook: the same pod in namespaces of their own, in rounds, each in
 * an order of its own, since what one leaves to be done slows the next.
 */
import { loadavg } from "node:os";
import { performance } from "node:perf_hooks";
import { isDeepStrictEqual } from "node:util";
import { renderAdmissionPolicy, type AdmissionPolicy } from "../../src/core/admission-policy/render.ts";
import { INJECTED_ANNOTATION } from "../../src/core/labels.ts";
import type { Transport } from "../../src/kube/transport.ts";
import { makeRegistry } from "../core/make-registry.ts";
import { renamed } from "../cluster/harness/admission-policies.ts";
import { startCluster } from "../cluster/harness/cluster.ts";
import { createNamespace } from "../cluster/harness/kubectl.ts";
import { podSpec, pullSecretsOf, type PodObject } from "../cluster/harness/pods.ts";
import { startWebhook } from "../cluster/harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";
import { admissionPolicy } from "./admission-policy.ts";
import { createBenchClient } from "./opt-in.ts";
import { startSmallestWebhook } from "./smallest-webhook.ts";

const PODS = Number(process.env["BENCH_PODS"] ?? 2_000);
const WARM_UP_PODS = 200;
const REGISTRIES = Array.from({ length: 10 }, (_, index) => ({
  name: `team-${index.toString()}`,
  address: `registry-${index.toString()}.example.com/team`,
}));
const IMAGE = "registry-7.example.com/team/app:v1";
const SECRET = "pullpass-team-7";

/** Namespaces, and what the pods there go through. */
const SIDES = {
  plain: "neither",
  hand: "a MutatingAdmissionPolicy by hand",
  annotated: "the same, which records in an annotation what it added",
  policy: "Pullpass's policy",
  smallest: "the smallest Node webhook, a constant patch",
  webhook: "Pullpass's webhook",
} as const;
type Side = keyof typeof SIDES;
const sides = Object.keys(SIDES) as readonly Side[];
const LABELS = {
  plain: {},
  hand: { "bench.pullpass.dev/by-hand": "enabled" },
  annotated: { "bench.pullpass.dev/annotated": "enabled" },
  policy: { "bench.pullpass.dev/policy": "enabled", "pullpass.dev/inject": "enabled" },
  smallest: { "bench.pullpass.dev/smallest": "enabled" },
  webhook: { "bench.pullpass.dev/webhook": "enabled", "pullpass.dev/inject": "enabled" },
} as const;

async function main(): Promise<void> {
  const cluster = await startCluster({ apiServerFlags: ["--v=0"] });
  let stopSmallest = (): void => undefined;
  try {
    const { kubectl } = cluster;
    await kubectl.apply(
      ...admissionPolicy(REGISTRIES, { name: "by-hand", label: LABELS.hand }),
      ...admissionPolicy(REGISTRIES, {
        ...{ name: "annotated", label: LABELS.annotated, annotation: INJECTED_ANNOTATION },
      }),
    );
    await kubectl.apply(
      ...renamed(pullpassPolicy(), "pullpass-pull-secrets", { "bench.pullpass.dev/policy": "enabled" }),
    );
    stopSmallest = await startSmallestWebhook(cluster, LABELS.smallest, [
      { op: "add", path: "/spec/imagePullSecrets", value: [{ name: SECRET }] },
      { op: "add", path: "/metadata/annotations", value: { [INJECTED_ANNOTATION]: "team-7" } },
    ]);
    const webhook = await startWebhook(cluster, {
      registries: REGISTRIES.map((registry) => ({
        ...registry,
        auth: { type: "BasicAuth", username: "bench", password: "made-up-for-the-bench" },
      })),
      register: ({ webhooks: [each], ...configuration }) => ({
        ...configuration,
        webhooks: [{ ...each, namespaceSelector: { matchLabels: LABELS.webhook } }],
      }),
    });
    const client = await createBenchClient(cluster);
    for (const side of sides) {
      await createNamespace(kubectl, side, LABELS[side]);
      await waitUntil(`pods of ${side} to be as they should`, async () =>
        hasSecretIf(side !== "plain", await createPod(client, side)),
      );
    }
    await measure(client, WARM_UP_PODS);
    printTable(await measure(client, PODS));
    await webhook.stop();
    client.close();
  } finally {
    stopSmallest();
    await cluster.stop();
  }
}

function pullpassPolicy(): AdmissionPolicy {
  const registries = REGISTRIES.map(({ name, address }) =>
    makeRegistry(name, address, { secretName: `pullpass-${name}` }),
  );
  return renderAdmissionPolicy(registries, {
    name: "pullpass-pull-secrets",
    excludedNamespaces: ["kube-system", "pullpass"],
    excludedAccounts: [],
  });
}

/** Milliseconds of each creation. */
async function measure(client: Transport, pods: number): Promise<Times> {
  const times: Record<Side, number[]> = {
    ...{ plain: [], hand: [], annotated: [], policy: [], smallest: [], webhook: [] },
  };
  for (let number = 0; number < pods; number++) {
    for (const side of shuffle(sides)) {
      const start = performance.now();
      const secrets = await createPod(client, side);
      times[side].push(performance.now() - start);
      if (!hasSecretIf(side !== "plain", secrets))
        throw new Error(`a pod of ${side} has the pull secrets [${secrets.join(", ")}]`);
    }
  }
  return times;
}

function shuffle<T>(items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

type Times = Readonly<Record<Side, readonly number[]>>;

function hasSecretIf(isExpected: boolean, secrets: readonly unknown[]): boolean {
  return isDeepStrictEqual(secrets, isExpected ? [SECRET] : []);
}

/** Creates a pod, and returns the names of its pull secrets. */
async function createPod(client: Transport, namespace: Side): Promise<readonly unknown[]> {
  const created = (await client.request({
    method: "POST",
    path: `/api/v1/namespaces/${namespace}/pods`,
    body: { apiVersion: "v1", kind: "Pod", metadata: { generateName: "pod-" }, spec: podSpec(IMAGE) },
  })) as PodObject;
  return pullSecretsOf(created);
}

function printTable(times: Times): void {
  const at = (side: Side, fraction: number): number => {
    const sorted = times[side].toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length * fraction)] ?? NaN;
  };
  const cell = (milliseconds: number): string => `${milliseconds.toFixed(2)} ms`;
  const load = (loadavg()[0] ?? NaN).toFixed(1);
  console.log(
    `Node ${process.version}, ${PODS.toString()} pods a side in turns; load of the machine: ${load}\n`,
  );
  console.log(
    "| a pod goes through | p50 | p99 | added, p50 | added, p99 |\n| --- | ---: | ---: | ---: | ---: |",
  );
  for (const side of sides) {
    const added = (fraction: number): string =>
      side === "plain" ? "" : cell(at(side, fraction) - at("plain", fraction));
    const cells = [SIDES[side], cell(at(side, 0.5)), cell(at(side, 0.99)), added(0.5), added(0.99)];
    console.log(`| ${cells.join(" | ")} |`);
  }
  printDifference(times, "policy", "hand");
  printDifference(times, "policy", "annotated");
  printDifference(times, "webhook", "smallest");
}

/** The median over rounds, and where it lies with 95 % confidence, whatever the distribution: between two of the differences. */
function printDifference(times: Times, side: Side, other: Side): void {
  const differences = times[side]
    .map((time, round) => time - (times[other][round] ?? NaN))
    .toSorted((a, b) => a - b);
  const { length } = differences;
  const cell = (rank: number): string => `${(differences[Math.round(rank)] ?? NaN).toFixed(3)} ms`;
  const [middle, margin] = [length / 2, 0.98 * Math.sqrt(length)];
  console.log(
    `\n${SIDES[side]} in place of ${SIDES[other]}, in the same round: ${cell(middle)} (95 %: ${cell(middle - margin)} to ${cell(middle + margin)})`,
  );
}

await main();
