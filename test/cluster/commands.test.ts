import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { registryCrd } from "../../src/config/registry-crd.ts";
import { runPullpass } from "../cli/run-pullpass.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace, createPullSecret } from "./harness/kubectl.ts";

const IMAGE = "registry.example.com/team-a/app:v1";
/** Nobody listens there. */
const NOBODY = "127.0.0.1:9";
const OPT_IN = { "pullpass.dev/inject": "enabled" };

await describeLevel("control-plane", "a command that reads the cluster", () => {
  let cluster: Cluster;
  let config: string;

  beforeAll(async () => {
    cluster = await borrowCluster();
    const { kubectl, network } = cluster;
    config = join(network.directory, "pullpass.yaml");
    const registries = [
      { name: "team-a", address: "registry.example.com/team-a", namespaces: { matchLabels: { team: "a" } } },
    ];
    // JSON is YAML.
    await writeFile(config, JSON.stringify({ registries }));
    await createNamespace(kubectl, "shop", { team: "a" });
    await createNamespace(kubectl, "others", { team: "b", ...OPT_IN });
    await createNamespace(kubectl, "enforcing", { team: "a", ...OPT_IN });
    await kubectl.run([
      ...["annotate", "serviceaccount", "default", "--namespace=enforcing"],
      "kubernetes.io/enforce-mountable-secrets=true",
    ]);
    for (const namespace of ["shop", "others"]) await kubectl.create(pod(namespace));
    await kubectl.run(["create", "role", "pod-reader", "--verb=get", "--resource=pods", "--namespace=shop"]);
    const binding = ["create", "rolebinding", "pod-reader", "--role=pod-reader", "--user=pod-reader"];
    await kubectl.run([...binding, "--namespace=shop"]);
  });

  const pod = (namespace: string) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace },
    spec: { containers: [{ name: "app", image: IMAGE }] },
  });
  const explain = (args: readonly string[], input = "", kubeconfig = cluster.kubeconfig) =>
    runPullpass(["explain", `--config=${config}`, `--kubeconfig=${kubeconfig}`, ...args], ".", input);
  const NEEDED = `  image      ${IMAGE} needs team-a (registry.example.com/team-a)\n`;

  it("explain --pod says under which conditions a pod would get what it was created without", async () => {
    expect(explain(["--pod=web", "--namespace=shop"])).toEqual({
      stdout:
        `Pod/web in shop\n${NEEDED}` +
        "  if         the namespace had the label pullpass.dev/inject=enabled\n" +
        "  and if     the pod were created again; this pod was created without what follows\n" +
        "  would get  pull secret pullpass-team-a for team-a\n",
      stderr:
        "warning: Neither Pullpass's webhook nor its policy is there, so pods get nothing now; this is what the webhook would do.\n",
      status: 0,
    });
    await cluster.kubectl.run(["label", "namespace", "shop", "pullpass.dev/inject=enabled"]);
    expect(explain(["--pod=web", "--namespace=shop"]).stdout).toBe(
      `Pod/web in shop\n${NEEDED}` +
        "  if         the pod were created again; this pod was created without what follows, maybe before its namespace had the label\n" +
        "  would get  pull secret pullpass-team-a for team-a\n",
    );
  });

  it("explain --pod names the registry that covers an image for other namespaces only", () => {
    expect(explain(["--pod=web", "--namespace=others"]).stdout).toBe(
      "Pod/web in others\n" +
        `  image      ${IMAGE} needs a registry that is limited to certain namespaces\n` +
        "    not      team-a (registry.example.com/team-a) covers it, but is only for namespaces with team=a\n" +
        "  nothing    no registry that the namespace may use covers an image of the pod\n",
    );
  });

  it("explain --pod takes a manifest's namespace and service account from the cluster", () => {
    expect(explain(["--pod=-"], JSON.stringify(pod("enforcing"))).stdout).toBe(
      `Pod/web in enforcing\n${NEEDED}` +
        "  nothing    the service account allows only the pull secrets that it lists\n" +
        "  warning    the service account does not list pull secret pullpass-team-a, so the pod may not name it\n",
    );
  });

  it("explain --pod says what a person may not read, and explains the rest", async () => {
    const kubeconfig = await cluster.kubeconfigFor("pod-reader");
    const { stdout, status } = explain(["--pod=web", "--namespace=shop"], "", kubeconfig);
    const [title, namespace, account, image] = stdout.split("\n");
    expect(title).toBe("Pod/web in shop");
    expect(namespace).toMatch(
      /^ {2}not read {3}GET \/api\/v1\/namespaces\/shop: 403 Forbidden: .*"pod-reader"/,
    );
    expect(account).toMatch(
      /^ {2}not read {3}GET \/api\/v1\/namespaces\/shop\/serviceaccounts\/default: 403/,
    );
    expect(image).toContain(`image      ${IMAGE} needs`);
    expect(status).toBe(0);
  });

  it.each([
    ["that may not be read", "pod-reader", "--pod=web", "--namespace=others", "pods/web: 403 Forbidden"],
    ["that does not exist", undefined, "--pod=missing", "--namespace=shop", 'pods "missing" not found'],
  ])("explain --pod fails for a pod %s", async (_title, user, podFlag, namespaceFlag, message) => {
    const kubeconfig = user === undefined ? cluster.kubeconfig : await cluster.kubeconfigFor(user);
    const { stdout, stderr, status } = explain([podFlag, namespaceFlag], "", kubeconfig);
    expect({ stdout, status }).toEqual({ stdout: "", status: 1 });
    expect(stderr).toContain(message);
  });

  it("check --login reads credentials from Secrets, and says which it could not read", async () => {
    await createNamespace(cluster.kubectl, "pullpass");
    await createPullSecret(cluster.kubectl, {
      ...{ namespace: "pullpass", name: "there", server: NOBODY },
      ...{ username: "made-up-user", password: "made-up-password" },
    });
    const { directory } = cluster.network;
    const registry = (name: string) => ({ name, address: NOBODY, auth: { type: "Secret", name } });
    const withSecrets = join(directory, "with-secrets.yaml");
    // JSON is YAML.
    await writeFile(withSecrets, JSON.stringify({ registries: [registry("there"), registry("missing")] }));
    const flags = ["--config", withSecrets, "--kubeconfig", cluster.kubeconfig, "--namespace", "pullpass"];
    const { stdout, stderr, status } = runPullpass(["check", "--login", ...flags], directory);
    expect(stdout).toContain(`there: ${NOBODY}: not reached: connect ECONNREFUSED ${NOBODY}\n`);
    expect(stdout).toContain(`missing: ${NOBODY}: not asked: Secret pullpass/missing does not exist\n`);
    expect(status).toBe(1);
    expect(stdout + stderr).not.toContain("made-up");
  });

  it("registries export writes what the API server takes, and --from-cluster reads it back", async () => {
    const { directory } = cluster.network;
    const { kubeconfig, kubectl } = cluster;
    const run = (...args: readonly string[]) => runPullpass([...args, "--kubeconfig", kubeconfig], directory);
    const explainImage = () => run("explain", "--from-cluster", "registry.example.com/team-a/app");
    expect(explainImage()).toMatchObject({
      stderr: "the cluster has no ClusterRegistries: its API server does not know pullpass.dev/v1alpha1\n",
      status: 0,
    });

    await kubectl.apply(registryCrd());
    await kubectl.run(["wait", "--for=condition=Established", "crd/clusterregistries.pullpass.dev"]);
    const namespaces = {
      matchLabels: { on: "yes" },
      matchExpressions: [{ key: "stage", operator: "In", values: ["1_000", "0o7"] }],
    };
    const auth = { type: "BasicAuth", username: "u", password: "made-up" };
    const registries = [
      { name: "all", displayName: "no", address: "*.azurecr.io", hosts: ["a.azurecr.io"], auth, namespaces },
      { name: "hub", address: "docker.io", secretName: "hub-creds", use: ["pull"] },
      { name: "token", address: "quay.io", auth: { type: "Token", username: "robot", token: "made-up" } },
    ];
    const file = join(directory, "to-export.yaml");
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ registries }));
    const exported = run("registries", "export", "--config", file, "--namespace=default");
    expect(exported).toMatchObject({ stderr: "", status: 0 });
    await kubectl.run(["apply", "--filename=-"], exported.stdout);

    const inCluster = run("registries", "--json");
    const rows = inCluster.stdout.trimEnd().split("\n");
    expect(rows.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { name: "all", from: "cluster", address: "*.azurecr.io", auth: "BasicAuth", secret: "pullpass-all" },
      { name: "hub", from: "cluster", address: "docker.io", auth: "none", secret: "hub-creds" },
      { name: "token", from: "cluster", address: "quay.io", auth: "Token", secret: "pullpass-token" },
    ]);
    const write = (...flags: readonly string[]) =>
      run("registries", "docker-config", "all", "token", ...flags);
    const fromCluster = write("--from-cluster", "--namespace=default");
    expect(fromCluster).toEqual(write("--config", file));
    expect(fromCluster.stdout).toContain('"a.azurecr.io":{"username":"u","password":"made-up"');
    const { stdout: kept } = await kubectl.run([
      "get",
      "clusterregistry",
      "all",
      "--output=jsonpath={.spec.namespaces}",
    ]);
    expect(JSON.parse(kept)).toEqual(namespaces);
  });
});
