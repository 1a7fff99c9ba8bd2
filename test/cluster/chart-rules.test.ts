import { beforeAll, expect, it } from "vitest";
import { CHART_DIRECTORY, createHelm, type Helm } from "./harness/chart.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { podWith } from "./harness/pods.ts";
import { refusal } from "./harness/run-command.ts";
import { waitUntil } from "../wait-until.ts";
import { awaitWebhooks } from "./harness/webhook-configuration.ts";

const ACCOUNT = "--as=system:serviceaccount:pullpass:pullpass";
const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const MANAGED = { "app.kubernetes.io/managed-by": "pullpass" };
const PULL_SECRET = "kubernetes.io/dockerconfigjson";
const EMPTY_CONFIG = { ".dockerconfigjson": Buffer.from('{"auths":{}}').toString("base64") };

await describeLevel("control-plane", "what the chart's rules let through", () => {
  let cluster: Cluster;
  let helm: Helm;

  beforeAll(async () => {
    cluster = await borrowCluster();
    helm = await createHelm(cluster);
    const { kubectl } = cluster;
    await createNamespace(kubectl, "app", OPTED_IN);
    await createNamespace(kubectl, "plain");
    await createNamespace(kubectl, "spared", OPTED_IN);
    // With Fail, a pod that the webhook is asked about is refused, because nobody answers.
    await helm.run(
      ...["install", "pullpass", CHART_DIRECTORY, "--namespace=pullpass", "--create-namespace"],
      "--set=webhook.failurePolicy=Fail,webhook.excludedNamespaces={spared},serviceAccounts.enabled=true",
    );
    await kubectl.run(["label", "namespace", "pullpass", "kube-system", "pullpass.dev/inject=enabled"]);
    await awaitWebhooks(kubectl);
    // The policy is in force a moment after it was created.
    await waitUntil("the policy", async () => (await refusal(write("app", {}, "Opaque"))) !== undefined);
  });

  it.each<readonly [asked: boolean, what: string, namespace: string, metadata: object, spec: object]>([
    [true, "a pod in a namespace that opted in", "app", {}, {}],
    [false, "a pod in another namespace", "plain", {}, {}],
    [false, "a pod in an excluded namespace", "spared", {}, {}],
    [false, "a pod of Pullpass's own namespace", "pullpass", {}, {}],
    [false, "a pod of the cluster", "kube-system", {}, {}],
    [false, "a pod that opted out", "app", { labels: { "pullpass.dev/inject": "disabled" } }, {}],
    [
      false,
      "a mirror pod",
      "app",
      { annotations: { "kubernetes.io/config.mirror": "made-up" } },
      { nodeName: "node1", automountServiceAccountToken: false },
    ],
    [true, "a pod with other annotations", "app", { annotations: { a: "b" } }, {}],
  ])("asks the webhook (%s) about %s", async (isAsked, _, namespace, metadata, spec) => {
    const pod = podWith("registry.example.com/app:v1", { generateName: "p-", namespace, ...metadata }, spec);
    const message = await refusal(() => cluster.kubectl.create(pod, "--dry-run=server"));
    if (isAsked) expect(message).toContain('failed calling webhook "inject.pullpass.dev"');
    else expect(message).toBeUndefined();
  });

  const write =
    (namespace: string, labels: object, type: string, name = "some") =>
    () =>
      cluster.kubectl.create(
        {
          apiVersion: "v1",
          kind: "Secret",
          type,
          metadata: {
            name,
            namespace,
            labels,
            annotations: { "kubernetes.io/service-account.name": "default" },
          },
          ...(type === PULL_SECRET ? { data: EMPTY_CONFIG } : {}),
        },
        ACCOUNT,
        "--dry-run=server",
      );

  it.each<[allowed: boolean, what: string, namespace: string, labels: object, type: string, name: string]>([
    [true, "a copy", "app", MANAGED, PULL_SECRET, "some"],
    [false, "a pull secret without its label", "app", {}, PULL_SECRET, "some"],
    [
      false,
      "a pull secret of another manager",
      "app",
      { ...MANAGED, "app.kubernetes.io/managed-by": "Helm" },
      PULL_SECRET,
      "some",
    ],
    [false, "a token of any account", "app", MANAGED, "kubernetes.io/service-account-token", "some"],
    [true, "its certificate", "pullpass", {}, "Opaque", "pullpass-tls"],
    [false, "a Secret of that name elsewhere", "app", {}, "Opaque", "pullpass-tls"],
    [true, "the answers of providers", "pullpass", {}, "Opaque", "pullpass-provider-answers"],
    [false, "a Secret of that name elsewhere, too", "app", {}, "Opaque", "pullpass-provider-answers"],
    [false, "another Secret of its own namespace", "pullpass", {}, "Opaque", "some"],
  ])("lets Pullpass's account create (%s) %s", async (isAllowed, _, namespace, labels, type, name) => {
    const message = await refusal(write(namespace, labels, type, name));
    if (isAllowed) expect(message).toBeUndefined();
    else expect(message).toContain("ValidatingAdmissionPolicy 'pullpass-secrets'");
  });

  it.each<readonly [what: string, labels: object, verb: string, change: readonly string[]]>([
    ["change a Secret of others", {}, "patch", ['--patch={"metadata":{"labels":{"a":"b"}}}']],
    ["take over a Secret of others", {}, "label", ["app.kubernetes.io/managed-by=pullpass"]],
    ["delete a Secret of others", {}, "delete", []],
    ["let go of a copy", MANAGED, "label", ["app.kubernetes.io/managed-by-"]],
  ])("does not let Pullpass's account %s", async (_, labels, verb, change) => {
    const { kubectl } = cluster;
    const metadata = { generateName: "secret-", namespace: "app", labels };
    const created = await kubectl.create({
      ...{ apiVersion: "v1", kind: "Secret", type: PULL_SECRET },
      ...{ metadata, data: EMPTY_CONFIG },
    });
    const secret = ["secret", created.metadata?.name ?? "", "--namespace=app"];
    const message = await refusal(() => kubectl.run([verb, ...secret, ...change, ACCOUNT]));
    expect(message).toContain("ValidatingAdmissionPolicy 'pullpass-secrets'");
    // Somebody else may.
    await kubectl.run([verb, ...secret, ...change]);
  });

  it("lets Pullpass's account change and delete what is its own", async () => {
    const { kubectl } = cluster;
    await kubectl.create({
      apiVersion: "v1",
      kind: "Secret",
      type: PULL_SECRET,
      metadata: { name: "copy", namespace: "app", labels: MANAGED },
      data: EMPTY_CONFIG,
    });
    const copy = ["secret", "copy", "--namespace=app", ACCOUNT];
    await kubectl.run(["patch", ...copy, '--patch={"metadata":{"annotations":{"a":"b"}}}']);
    await kubectl.run(["delete", ...copy]);
  });

  const OURS = "pullpass.dev/attached";
  it.each<readonly [allowed: boolean, what: string, path: string, value: unknown]>([
    [true, "add pull secrets", "/imagePullSecrets", [{ name: "theirs" }, { name: "ours" }]],
    [true, "take pull secrets off", "/imagePullSecrets", []],
    [true, "write its annotation", `/metadata/annotations/${OURS.replace("/", "~1")}`, "ours"],
    [false, "change the annotation of others", "/metadata/annotations/theirs", "other"],
    [false, "add an annotation of others", "/metadata/annotations/eks.amazonaws.com~1role-arn", "made-up"],
    [false, "take the annotations of others off", "/metadata/annotations", { [OURS]: "ours" }],
    [false, "change labels", "/metadata/labels", { a: "b" }],
    [false, "add a finalizer", "/metadata/finalizers", ["example.com/never"]],
    [
      false,
      "add an owner",
      "/metadata/ownerReferences",
      [{ apiVersion: "v1", kind: "ConfigMap", name: "x", uid: "x" }],
    ],
    [false, "change the list of Secrets", "/secrets", [{ name: "other" }]],
    [false, "change whether pods get a token", "/automountServiceAccountToken", true],
  ])("lets Pullpass's account (%s) %s of a ServiceAccount", async (isAllowed, _, path, value) => {
    const { kubectl } = cluster;
    const created = await kubectl.create({
      ...{ apiVersion: "v1", kind: "ServiceAccount" },
      metadata: { generateName: "account-", namespace: "app", annotations: { theirs: "theirs", [OURS]: "" } },
      imagePullSecrets: [{ name: "theirs" }],
      secrets: [{ name: "theirs" }],
      automountServiceAccountToken: false,
    });
    const account = ["serviceaccount", created.metadata?.name ?? "", "--namespace=app"];
    const patch = ["--type=json", `--patch=${JSON.stringify([{ op: "add", path, value }])}`];
    const message = await refusal(() => kubectl.run(["patch", ...account, ...patch, ACCOUNT]));
    if (isAllowed) expect(message).toBeUndefined();
    else expect(message).toContain("ValidatingAdmissionPolicy 'pullpass-service-accounts'");
    // Somebody else may.
    await kubectl.run(["patch", ...account, ...patch]);
  });

  it("does not let Pullpass's account change a ServiceAccount at all where the chart's value does not say so", async () => {
    const { kubectl } = cluster;
    const chart = ["upgrade", "pullpass", CHART_DIRECTORY, "--namespace=pullpass"];
    await helm.run(...chart, "--set=webhook.failurePolicy=Fail,serviceAccounts.enabled=false");
    const patch = '--patch={"imagePullSecrets":[{"name":"ours"}]}';
    await waitUntil("the right to be gone", async () => {
      const message = await refusal(() =>
        kubectl.run(["patch", "serviceaccount", "default", "--namespace=app", patch, ACCOUNT]),
      );
      return message?.includes('cannot patch resource "serviceaccounts"') === true;
    });
  });

  it("lets pods be created once its namespace was deleted, with the policy Ignore", async () => {
    const { kubectl } = cluster;
    const chart = ["upgrade", "pullpass", CHART_DIRECTORY, "--namespace=pullpass"];
    await helm.run(...chart, "--set=webhook.failurePolicy=Ignore");
    await awaitWebhooks(kubectl);
    await kubectl.run(["delete", "namespace", "pullpass", "--wait=false"]);
    await kubectl.run([
      "delete",
      "deployment,service",
      "pullpass",
      "--namespace=pullpass",
      "--ignore-not-found",
    ]);
    const pod = podWith("registry.example.com/app:v1", { name: "left-alone", namespace: "app" });
    await kubectl.create(pod);
  });
});
