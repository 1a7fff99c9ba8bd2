/**
 * What Pullpass adds to the time of a pod's creation at a real API server, beside what a MutatingAdmissionPolicy with the
 * same ten registries adds: the same pod in three namespaces, in turns.
 */
import { spawnSync } from "node:child_process";
import { loadavg } from "node:os";
import { performance } from "node:perf_hooks";
import type { KubeClient } from "../../src/kube/client.ts";
import { startCluster } from "../cluster/cluster.ts";
import { createNamespace } from "../cluster/create-namespace.ts";
import { podSpec } from "../cluster/pods.ts";
import { startWebhook } from "../cluster/start-webhook.ts";
import { waitUntil } from "../cluster/wait-until.ts";
import { admissionPolicy } from "./admission-policy.ts";
import { createBenchClient } from "./opt-in.ts";

const PODS = Number(process.env["BENCH_PODS"] ?? 2_000);
const WARM_UP_PODS = 200;
const REGISTRIES = Array.from({ length: 10 }, (_, index) => ({
  name: `team-${index.toString()}`,
  address: `registry-${index.toString()}.example.com/team`,
}));
const IMAGE = "registry-7.example.com/team/app:v1";
const SECRET = "pullpass-team-7";
const POLICY_LABEL = { "bench.pullpass.dev/policy": "enabled" };

/** Namespaces, each with what its pods go through. */
const SIDES = ["plain", "policy", "webhook"] as const;
type Side = (typeof SIDES)[number];

async function main(): Promise<void> {
  const cluster = await startCluster({ apiServerFlags: ["--v=0"] });
  try {
    const { kubectl } = cluster;
    const registries = REGISTRIES.map((registry) => ({
      ...registry,
      auth: { type: "BasicAuth", username: "bench", password: "made-up-for-the-bench" },
    }));
    const webhook = await startWebhook(cluster, { registries });
    const { stdout: versions } = await kubectl.run(["api-versions"]);
    const apiVersion = ["v1", "v1beta1"]
      .map((version) => `admissionregistration.k8s.io/${version}`)
      .find((version) => versions.split("\n").includes(version));
    await kubectl.apply(...admissionPolicy(apiVersion ?? "", REGISTRIES, POLICY_LABEL));
    await createNamespace(kubectl, "plain");
    await createNamespace(kubectl, "policy", POLICY_LABEL);
    await createNamespace(kubectl, "webhook", { "pullpass.dev/inject": "enabled" });

    const client = await createBenchClient(cluster);
    for (const side of ["policy", "webhook"] as const) {
      await waitUntil(`${side} to add the pull secret`, async () =>
        (await createPod(client, side)).includes(SECRET),
      );
    }
    await measure(client, WARM_UP_PODS);
    printTable(await measure(client, PODS));
    await webhook.stop();
    client.close();
  } finally {
    await cluster.stop();
  }
}

type Times = Readonly<Record<Side, readonly number[]>>;

/** Milliseconds of each creation. */
async function measure(client: KubeClient, pods: number): Promise<Times> {
  const times: Record<Side, number[]> = { plain: [], policy: [], webhook: [] };
  for (let number = 0; number < pods; number++) {
    for (const side of SIDES) {
      const start = performance.now();
      const secrets = await createPod(client, side);
      times[side].push(performance.now() - start);
      if (secrets.includes(SECRET) !== (side !== "plain"))
        throw new Error(`a pod of ${side} has the pull secrets [${secrets.join(", ")}]`);
    }
  }
  return times;
}

/** Creates a pod, and returns the names of its pull secrets. */
async function createPod(client: KubeClient, namespace: Side): Promise<readonly (string | undefined)[]> {
  const created = (await client.request({
    method: "POST",
    path: `/api/v1/namespaces/${namespace}/pods`,
    body: { apiVersion: "v1", kind: "Pod", metadata: { generateName: "pod-" }, spec: podSpec(IMAGE) },
  })) as { readonly spec: { readonly imagePullSecrets?: readonly { readonly name?: string }[] } };
  return (created.spec.imagePullSecrets ?? []).map(({ name }) => name);
}

function printTable(times: Times): void {
  const at = (side: Side, fraction: number): number => {
    const sorted = times[side].toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length * fraction)] ?? NaN;
  };
  const cell = (milliseconds: number): string => `${milliseconds.toFixed(2)} ms`;
  const kubernetes = spawnSync(process.execPath, ["--version"], { encoding: "utf8" }).stdout.trim();
  console.log(
    `Node ${kubernetes}, ${times.plain.length.toString()} pods a side in turns; load of the machine: ${(loadavg()[0] ?? NaN).toFixed(1)}\n`,
  );
  console.log(
    "| a pod's creation | p50 | p99 | added, p50 | added, p99 |\n| --- | ---: | ---: | ---: | ---: |",
  );
  for (const side of SIDES) {
    const added = (fraction: number): string =>
      side === "plain" ? "" : cell(at(side, fraction) - at("plain", fraction));
    const cells = [side, cell(at(side, 0.5)), cell(at(side, 0.99)), added(0.5), added(0.99)];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

await main();
