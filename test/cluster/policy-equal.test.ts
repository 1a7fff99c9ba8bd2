import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readConfiguration } from "../../src/config/read.ts";
import { renderAdmissionPolicy, type AdmissionPolicy } from "../../src/core/admission-policy/render.ts";
import { causesOf, KubeApiError } from "../../src/kube/errors.ts";
import type { Transport } from "../../src/kube/transport.ts";
import { createBenchClient } from "../bench/opt-in.ts";
import { RECORDED_NAMES, recordedReview } from "../http/recorded-review.ts";
import { waitUntil } from "../wait-until.ts";
import {
  anyCase,
  anyCaseWithCondition,
  NAMESPACE_LABELS,
  type AnyCase,
  type AnyPod,
} from "./any-policy-case.ts";
import { awaitPolicies, renamed } from "./harness/admission-policies.ts";
import { startCluster, type OwnCluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { pullSecretsOf, type PodObject } from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";

/** 20 configurations of each kind, with 50 pods each: 2,000 pods. POLICY_SEED=... makes others, POLICY_CONFIGURATIONS=... more. */
const SEED = Number(process.env["POLICY_SEED"] ?? 17);
const CONFIGURATIONS = Number(process.env["POLICY_CONFIGURATIONS"] ?? 20);

const SIDES = ["webhook", "policy"] as const;
type Side = (typeof SIDES)[number];
/** On namespaces alone; no configuration asks for it. */
const SIDE_LABEL = "test.pullpass.dev/side";
const CASE_LABEL = "test.pullpass.dev/case";

/** The images of the reference cases under a configuration that has something for most of them. */
const { rows } = JSON.parse(
  readFileSync(new URL("../fixtures/cases/reference.json", import.meta.url), "utf8"),
) as { readonly rows: readonly { readonly id: string; readonly input: string }[] };
const ADDRESSES = [
  "*",
  "*.*",
  "*.*.*",
  "*:5000",
  "*.*:5000",
  "*:443",
  "*.*:443",
  "docker.io",
  "docker.io/library",
  "localhost",
  "[::1]:5000",
];
const REFERENCE_CASE: AnyCase = {
  registries: ADDRESSES.map((address, index) => ({ name: `r${index.toString()}`, address, use: ["pull"] })),
  pods: rows.map(({ input }) => ({ namespace: "plain", pod: podOf(input) })),
};

/** Pods that real clients and controllers made, as the API server showed them to a webhook. */
const RECORDED_CASE: AnyCase = {
  registries: [
    { name: "local", address: "127.0.0.1:5000", use: ["pull"] },
    { name: "local-private", address: "127.0.0.1:5000/private", secretName: "regcred", use: ["pull"] },
    { name: "hub", address: "docker.io", use: ["pull"] },
  ],
  pods: RECORDED_NAMES.flatMap((name) => {
    const { object, operation, subResource } = recordedReview(name).request;
    if (object === null || operation !== "CREATE" || subResource !== undefined) return [];
    const { labels, annotations } = object.metadata;
    const { serviceAccountName: _, ...spec } = object.spec;
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "pod", labels, annotations }, spec };
    return [{ namespace: "plain", pod }];
  }),
};

function podOf(image: string): object {
  const spec = { automountServiceAccountToken: false, containers: [{ name: "main", image }] };
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "pod" }, spec };
}

await describeLevel("control-plane", "the policy, beside the webhook", () => {
  let cluster: OwnCluster;
  let webhook: RunningWebhook;
  let client: Transport;
  const GENERATED = [
    ["any hosts", fc.sample(anyCase, { seed: SEED, numRuns: CONFIGURATIONS })],
    ["no host with *", fc.sample(anyCaseWithCondition, { seed: SEED, numRuns: CONFIGURATIONS })],
  ] as const;
  const cases: readonly AnyCase[] = [REFERENCE_CASE, RECORDED_CASE, ...GENERATED.flatMap(([, each]) => each)];

  beforeAll(async () => {
    cluster = await startCluster({ apiServerFlags: ["--v=0"] });
    const { kubectl } = cluster;
    webhook = await startWebhook(cluster, {
      registries: [],
      register: ({ webhooks: [each], ...configuration }) => ({
        ...configuration,
        webhooks: [
          {
            ...each,
            namespaceSelector: {
              ...each.namespaceSelector,
              matchLabels: { ...each.namespaceSelector?.matchLabels, [SIDE_LABEL]: "webhook" },
            },
          },
        ],
      }),
    });
    client = await createBenchClient(cluster);
    await Promise.all(
      Object.entries(NAMESPACE_LABELS).map(([end, labels]) =>
        createNamespace(kubectl, `webhook-${end}`, { ...labels, [SIDE_LABEL]: "webhook" }),
      ),
    );
    for (const number of cases.keys()) {
      const label = { [CASE_LABEL]: number.toString(), [SIDE_LABEL]: "policy" };
      await Promise.all(
        Object.entries(NAMESPACE_LABELS).map(([end, labels]) =>
          createNamespace(kubectl, `policy-${number.toString()}-${end}`, { ...labels, ...label }),
        ),
      );
    }
    await applyPolicies();
  }, 120_000);
  afterAll(async () => {
    client.close();
    await webhook.stop();
    await cluster.stop();
  });

  /** One for each case, all at once: the API server takes a second to go by a new one. */
  async function applyPolicies(): Promise<void> {
    const policies = [];
    for (const [number, { registries }] of cases.entries()) {
      const policy = await renderPolicy(registries);
      // Where it fails, the pod is refused and the test says why.
      policies.push(
        ...renamed(
          policy,
          `case-${number.toString()}`,
          { [CASE_LABEL]: number.toString() },
          { failurePolicy: "Fail" },
        ),
      );
    }
    await cluster.kubectl.apply(...policies);
    await awaitPolicies(cluster.kubectl);
  }

  async function renderPolicy(registries: AnyCase["registries"]): Promise<AdmissionPolicy> {
    const file = `${webhook.configFile}.policy`;
    await writeFile(file, JSON.stringify({ registries }));
    return renderAdmissionPolicy(readConfiguration([file]).registries, {
      name: "pullpass",
      excludedNamespaces: ["kube-system"],
      excludedAccounts: [],
    });
  }

  let reloads = 0;
  async function configureWebhook({ registries }: AnyCase): Promise<void> {
    await webhook.configure({ registries });
    reloads++;
    await waitUntil(
      "the webhook to take the configuration over",
      async () => {
        const lines = await webhook.log();
        return lines.filter(({ msg }) => msg === "configuration reloaded").length >= reloads;
      },
      { intervalMs: 20 },
    );
  }

  /** The pod as it would be stored, without what differs between any two, or why it was refused. */
  async function create(side: Side, number: number, { namespace, pod }: AnyPod): Promise<unknown> {
    const name = side === "webhook" ? `webhook-${namespace}` : `policy-${number.toString()}-${namespace}`;
    try {
      const created = await client.request({
        method: "POST",
        path: `/api/v1/namespaces/${name}/pods`,
        query: { dryRun: "All" },
        body: pod,
      });
      const { name: podName, labels, annotations } = (created as unknown as PodObject).metadata;
      return { metadata: { name: podName, labels, annotations }, spec: created["spec"] };
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      return { refused: error.status, causes: causesOf(error) };
    }
  }

  async function compare(number: number): Promise<{ readonly injected: number; readonly refused: number }> {
    const each = cases[number];
    if (each === undefined) throw new Error(`there is no case ${number.toString()}`);
    await configureWebhook(each);
    let injected = 0;
    let refused = 0;
    await Promise.all(
      each.pods.map(async (pod) => {
        const [byWebhook, byPolicy] = await Promise.all(SIDES.map((side) => create(side, number, pod)));
        expect({ ...pod, registries: each.registries, result: byPolicy }).toEqual({
          ...pod,
          registries: each.registries,
          result: byWebhook,
        });
        const isRefused = "refused" in (byWebhook as object);
        if (isRefused) refused++;
        else if (pullSecretsOf(byWebhook as PodObject).length > pullSecretsOf(pod.pod as PodObject).length)
          injected++;
      }),
    );
    return { injected, refused };
  }

  it("gives the images of the reference cases the same secrets", async () => {
    const { injected } = await compare(cases.indexOf(REFERENCE_CASE));
    expect(injected).toBeGreaterThan(25);
  });

  it("gives recorded pods the same secrets", async () => {
    expect(await compare(cases.indexOf(RECORDED_CASE))).toMatchObject({ injected: 8 });
  });

  it.each(GENERATED)(
    `gives ${(CONFIGURATIONS * 50).toString()} generated pods the same secrets, for %s (POLICY_SEED=${SEED.toString()})`,
    async (_hosts, generated) => {
      let injected = 0;
      let refused = 0;
      for (const each of generated) {
        const counts = await compare(cases.indexOf(each));
        injected += counts.injected;
        refused += counts.refused;
      }
      process.stderr.write(
        `seed ${SEED.toString()}: ${injected.toString()} injected, ${refused.toString()} refused\n`,
      );
      expect(injected).toBeGreaterThan(CONFIGURATIONS * 12);
    },
    300_000,
  );

  /** As those of a platform: a path and a namespace for each team. */
  const teams = (count: number): AnyCase["registries"] =>
    Array.from({ length: count }, (_, index) => ({
      name: `team-${index.toString()}`,
      address: `registry.example.com/team-${index.toString()}`,
      use: ["pull"],
      ...(index % 2 === 1 && { namespaces: { matchLabels: { team: `t${index.toString()}` } } }),
    }));

  /** For one namespace of that name, where it fails the pod is refused. */
  async function applyPolicy(name: string, registries: AnyCase["registries"]): Promise<void> {
    const label = { [CASE_LABEL]: name };
    await createNamespace(cluster.kubectl, name, { ...NAMESPACE_LABELS["plain"], ...label });
    const objects = renamed(await renderPolicy(registries), name, label, { failurePolicy: "Fail" });
    await cluster.kubectl.run(
      ["apply", "--server-side", "--filename=-"],
      objects.map((object) => JSON.stringify(object)).join("\n"),
    );
    await awaitPolicies(cluster.kubectl);
  }

  async function secretsOf(namespace: string, images: readonly string[], annotations: object = {}) {
    const containers = images.map((image, index) => ({ name: `c${index.toString()}`, image }));
    const metadata = { name: "pod", namespace, annotations };
    const pod = { ...podOf(""), metadata, spec: { containers } };
    return pullSecretsOf(await cluster.kubectl.create<PodObject>(pod, "--dry-run=server"));
  }

  it.each([10, 100, 1000, 1500])(
    "works with %i registries and 20 images, and for all of them",
    async (count) => {
      const name = `many-${count.toString()}`;
      await applyPolicy(name, teams(count));
      // The last ones in the list; every second one is for other namespaces.
      const images = Array.from(
        { length: 20 },
        (_, index) => `registry.example.com/team-${(count - 1 - (index % count)).toString()}/app`,
      );
      expect(await secretsOf(name, images)).toHaveLength(Math.min(20, count) / 2);
      const everything = await secretsOf(name, images, { "pullpass.dev/registries": "*" });
      expect(everything).toEqual(
        Array.from({ length: count / 2 }, (_, index) => `pullpass-team-${(2 * index).toString()}`),
      );
    },
  );

  it("gives a pod that asks for all of 1500 registries each pull secret once that several have in common", async () => {
    const registries = teams(1500).map(({ namespaces: _, ...registry }, index) => ({
      ...registry,
      ...(index % 3 > 0 && { secretName: `shared-${(index % 700).toString()}` }),
    }));
    await applyPolicy("shared", registries);
    expect(await secretsOf("shared", ["nginx"], { "pullpass.dev/registries": "*" })).toEqual([
      ...new Set(registries.map(({ name, secretName = `pullpass-${name}` }) => secretName)),
    ]);
  });

  it("gives a pod the pull secret of a container that another policy adds later", async () => {
    const { kubectl } = cluster;
    await applyPolicy("added", teams(4));
    const expression = `object.spec.containers.exists(c, c.name == "added") ? [] : [JSONPatch{
      op: "add", path: "/spec/containers/-", value: {"name": "added", "image": "registry.example.com/team-2/app"}}]`;
    const matchConstraints = {
      namespaceSelector: { matchLabels: { [CASE_LABEL]: "added" } },
      resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
    };
    const apiVersion = "admissionregistration.k8s.io/v1";
    const metadata = { name: "z-adds-a-container" };
    await kubectl.apply(
      {
        ...{ apiVersion, kind: "MutatingAdmissionPolicy", metadata },
        spec: {
          matchConstraints,
          reinvocationPolicy: "Never",
          mutations: [{ patchType: "JSONPatch", jsonPatch: { expression } }],
        },
      },
      {
        ...{ apiVersion, kind: "MutatingAdmissionPolicyBinding", metadata },
        spec: { policyName: metadata.name },
      },
    );
    await awaitPolicies(kubectl);
    expect(await secretsOf("added", ["registry.example.com/team-0/app"])).toEqual([
      "pullpass-team-0",
      "pullpass-team-2",
    ]);
    expect(await secretsOf("added", ["nginx"])).toEqual(["pullpass-team-2"]);
  });
});
