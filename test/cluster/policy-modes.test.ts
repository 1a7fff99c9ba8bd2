import { parseAllDocuments } from "yaml";
import { afterAll, beforeAll, expect, it } from "vitest";
import { POLICY_NAME, renderAdmissionPolicy } from "../../src/core/admission-policy/render.ts";
import { createApis } from "../../src/kube/api.ts";
import { createPolicyWriter, findPolicy } from "../../src/kube/resources/admission-policies.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { CHART_DIRECTORY, createHelm, type Helm } from "./harness/chart.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { PULLPASS_NAMESPACE } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace, type KubernetesObject } from "./harness/kubectl.ts";
import { podWith, pullSecretsOf, type PodObject } from "./harness/pods.ts";
import { refusal, runCommand } from "./harness/run-command.ts";
import type { Replica } from "./harness/run-replica.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { awaitPolicies } from "./harness/admission-policies.ts";
import { awaitWebhooks, webhookConfiguration } from "./harness/webhook-configuration.ts";
import { waitUntil } from "../wait-until.ts";

const IMAGE = "registry.example.com/team-a/app:v1";
const TEAM_A = { name: "team-a", address: "registry.example.com/team-a" };

interface EventList {
  readonly items: readonly {
    readonly reason: string;
    readonly message: string;
    readonly involvedObject: { readonly kind: string };
  }[];
}

const POLICY = ["mutatingadmissionpolicy", "pullpass"] as const;

await describeLevel("control-plane", "the modes", () => {
  let cluster: Cluster;
  let helm: Helm;
  let webhook: RunningWebhook;
  let replica: Replica;

  beforeAll(async () => {
    cluster = await borrowCluster();
    helm = await createHelm();
    webhook = await startWebhook(cluster, { registries: [TEAM_A] });
    await createNamespace(cluster.kubectl, "app", { "pullpass.dev/inject": "enabled" });
  });
  afterAll(async () => {
    await replica.stop();
    await webhook.stop();
  });

  /** The objects of a template of the chart, as an upgrade to that mode applies them. */
  async function applyTemplate(mode: string, template: string): Promise<void> {
    const { stdout } = await helm.run(
      ...["template", "pullpass", CHART_DIRECTORY, `--namespace=${PULLPASS_NAMESPACE}`],
      ...[`--set=mode=${mode}`, `--show-only=templates/${template}.yaml`],
    );
    await cluster.kubectl.apply(...parseAllDocuments(stdout).map((document) => document.toJS() as object));
  }

  const create = (spec: object = {}, metadata: object = {}) =>
    cluster.kubectl.create<PodObject>(
      podWith(IMAGE, { generateName: "app-", namespace: "app", ...metadata }, spec),
    );
  const secretsOf = async (image: string) =>
    pullSecretsOf(await create({ containers: [{ name: "main", image }] }));

  /** Creates pods one after the other until it is stopped, and returns what is wrong with any of them. */
  function streamPods(): { stop(): Promise<{ readonly count: number; readonly faults: readonly string[] }> } {
    let isStopped = false;
    const run = async () => {
      const faults: string[] = [];
      let count = 0;
      while (!isStopped) {
        count++;
        const secrets = await create().then(pullSecretsOf, (error: unknown) => String(error));
        if (String(secrets) !== "pullpass-team-a") faults.push(`pod ${count.toString()}: ${String(secrets)}`);
      }
      return { count, faults };
    };
    const running = run();
    return {
      stop() {
        isStopped = true;
        return running;
      },
    };
  }

  it("remove what another mode left, and not what was written again since it was found", async () => {
    const client = createTestKubeClient(cluster);
    const apisFor = createApis(client);
    const writer = createPolicyWriter(apisFor);
    const none = { policy: undefined, binding: undefined };
    expect(await findPolicy(apisFor)).toEqual(none);
    const rendered = renderAdmissionPolicy([], {
      name: POLICY_NAME,
      excludedNamespaces: ["kube-system"],
      excludedAccounts: [],
    });
    await writer.apply(rendered);
    const left = await findPolicy(apisFor);
    expect(left).toEqual({ policy: expect.any(String) as string, binding: expect.any(String) as string });
    await writer.remove(left);
    expect(await findPolicy(apisFor)).toEqual(none);

    await writer.apply(rendered);
    const written = await findPolicy(apisFor);
    await writer.remove(left);
    expect(await findPolicy(apisFor)).toEqual(written);
    await writer.remove(written);
    client.close();
  });

  it("change from the webhook to the policy and back under a stream of pods: none is refused, and none lacks its secret", async () => {
    const { kubectl } = cluster;
    const stream = streamPods();
    // As helm upgrade: first the job before it, then the rights, the webhook and the replicas.
    await applyTemplate("policy", "policy");
    const { stdout } = await runCommand(process.execPath, [
      ...["dist/main.js", "policy", `--config=${webhook.configFile}`, `--kubeconfig=${cluster.kubeconfig}`],
      ...["--from-cluster", "--apply"],
    ]);
    expect(stdout).toBe("MutatingAdmissionPolicy pullpass is in force\n");
    await kubectl.run(["delete", "mutatingwebhookconfiguration", "pullpass"]);
    replica = await webhook.startReplica({ flags: ["--mode=policy"], env: { POD_NAME: "pullpass-0" } });
    await webhook.stop();
    await waitUntil("the new replica to keep the policy", async () =>
      (await replica.log()).some(({ msg }) => msg === "the policy is up to date"),
    );
    // And back.
    await applyTemplate("webhook", "policy");
    await kubectl.apply(webhookConfiguration(webhook.registration));
    await webhook.start();
    await replica.stop();
    await waitUntil(
      "the policy to be removed",
      async () => (await refusal(() => kubectl.json("get", ...POLICY))) !== undefined,
      {
        timeoutMs: 45_000,
      },
    );
    await awaitPolicies(kubectl);
    const { count, faults } = await stream.stop();
    expect(faults).toEqual([]);
    expect(count).toBeGreaterThan(50);
    expect(await secretsOf(IMAGE)).toEqual(["pullpass-team-a"]);
  }, 120_000);

  it("keep the policy up to date, and put back what somebody changed or deleted", async () => {
    const { kubectl } = cluster;
    await applyTemplate("policy", "policy");
    await webhook.stop();
    await kubectl.run(["delete", "mutatingwebhookconfiguration", "pullpass"]);
    await replica.start();
    await waitUntil("the policy to be in force", async () => (await secretsOf(IMAGE)).length === 1);
    await webhook.configure({ registries: [TEAM_A, { name: "hub", address: "docker.io" }] });
    await waitUntil(
      "the new registry to be in force",
      async () => (await secretsOf("nginx"))[0] === "pullpass-hub",
    );
    await kubectl.run(["delete", ...POLICY]);
    await kubectl.waitFor([...POLICY], () => true);
    await kubectl.run(["patch", ...POLICY, "--type=merge", '--patch={"spec":{"failurePolicy":"Fail"}}']);
    await kubectl.waitFor(
      [...POLICY],
      ({ spec }) => (spec as { failurePolicy: string }).failurePolicy === "Ignore",
    );
  });

  it("leave the pods of an account alone that enforces its list of Secrets, which would be refused", async () => {
    const { kubectl } = cluster;
    await kubectl.create({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: {
        name: "strict",
        namespace: "app",
        annotations: { "kubernetes.io/enforce-mountable-secrets": "true" },
      },
    });
    await waitUntil("the account to be left alone", async () => {
      const pod = await create({ serviceAccountName: "strict" }).catch(() => undefined);
      return pod !== undefined && pullSecretsOf(pod).length === 0;
    });
    expect(await secretsOf(IMAGE)).toEqual(["pullpass-team-a"]);
  });

  it("keep the last policy that fitted, with an Event, where the registries do not fit into one", async () => {
    const { kubectl } = cluster;
    const registries = Array.from({ length: 12_000 }, (_, index) => ({
      name: `team-${index.toString()}`,
      address: `registry.example.com/of-team-${index.toString()}`,
    }));
    await webhook.configure({ registries });
    const event = await waitUntil("the Event", async () => {
      const { items } = await kubectl.json<EventList>("get", "events", `--namespace=${PULLPASS_NAMESPACE}`);
      return items.find(({ reason }) => reason === "PolicyTooLarge");
    });
    expect(event.involvedObject.kind).toBe("Pod");
    expect(event.message).toMatch(
      /^the configuration does not fit into a MutatingAdmissionPolicy: it would have \d+ bytes, .* stays in force$/,
    );
    expect((await replica.log()).filter(({ msg }) => msg === event.message)).toHaveLength(1);
    expect(await secretsOf(IMAGE)).toEqual(["pullpass-team-a"]);
    await webhook.configure({ registries: [TEAM_A] });
  });

  it("give pods their secrets while no replica runs at all", async () => {
    await replica.kill();
    expect(await secretsOf(IMAGE)).toEqual(["pullpass-team-a"]);
    await replica.start();
  });

  it("send pods with a builder to the webhook, and no others, in policy+webhook", async () => {
    const { kubectl } = cluster;
    await replica.stop();
    await applyTemplate("policy+webhook", "policy");
    const { stdout } = await helm.run(
      ...["template", "pullpass", CHART_DIRECTORY, `--namespace=${PULLPASS_NAMESPACE}`],
      ...["--set=mode=policy+webhook", "--show-only=templates/webhook.yaml"],
    );
    const [document] = parseAllDocuments(stdout);
    const rendered = document?.toJS() as KubernetesObject & {
      readonly webhooks: readonly [{ readonly matchConditions: object }];
    };
    const registered = webhookConfiguration(webhook.registration);
    const [{ matchConditions }] = rendered.webhooks;
    await kubectl.apply({ ...registered, webhooks: [{ ...registered.webhooks[0], matchConditions }] });
    await awaitWebhooks(kubectl);
    await webhook.start();
    const kaniko = { name: "build", image: "mirror.example.com/kaniko-project/executor:v1" };
    const pods: Readonly<Record<string, readonly [spec: object, metadata: object]>> = {
      plain: [{}, {}],
      builder: [{ containers: [kaniko, { name: "main", image: IMAGE }] }, {}],
      named: [{}, { annotations: { "pullpass.dev/build-containers": "main" } }],
    };
    for (const [namespace, [spec, metadata]] of Object.entries(pods)) {
      await createNamespace(kubectl, namespace, { "pullpass.dev/inject": "enabled" });
      expect(pullSecretsOf(await create(spec, { ...metadata, namespace }))).toEqual(["pullpass-team-a"]);
    }
    await waitUntil("the reviews to be logged", async () => (await webhook.reviews("named")).length === 1);
    expect(await webhook.reviews("builder")).toHaveLength(1);
    expect(await webhook.reviews("plain")).toEqual([]);
  });
});
