import { execFile } from "node:child_process";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { DoctorReport, Finding, PodFinding } from "../../src/cli/doctor-facts.ts";
import { registryCrd } from "../../src/config/registry-crd.ts";
import { makeAuthority } from "../../src/tls/x509.ts";
import { MAIN, type ProgramResult } from "../cli/run-pullpass.ts";
import { startOddServer } from "../registry/odd-server.ts";
import { waitUntil } from "../wait-until.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace, createPullSecret } from "./harness/kubectl.ts";
import { podWith } from "./harness/pods.ts";
import { clusterRegistry, offeredLogin } from "./harness/registry-objects.ts";
import { startWebhook, type RunningWebhook, type WebhookOptions } from "./harness/start-webhook.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const LOGIN = { username: "robot", password: "made-up-password" };
const UNAUTHORIZED =
  'failed to pull and unpack image "X": failed to resolve reference "X": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials';
const cause = (image: string, message: string): string =>
  `Back-off pulling image "${image}": ErrImagePull: ${message.replaceAll("X", image)}`;

/** The authority of a test's cluster lasts for a day, which doctor finds too short. */
async function withLastingAuthority({
  authority,
}: Cluster): Promise<NonNullable<WebhookOptions["register"]>> {
  const { certificate } = await makeAuthority(365 * 24 * 60 * 60_000, new Date());
  const caBundle = Buffer.from(`${authority.pem}\n${certificate}`).toString("base64");
  return (configuration) => {
    const [webhook] = configuration.webhooks;
    const clientConfig = { ...(webhook["clientConfig"] as object), caBundle };
    return { ...configuration, webhooks: [{ ...webhook, clientConfig }] };
  };
}

await describeLevel("control-plane", "pullpass doctor", () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await borrowCluster();
    const { kubectl } = cluster;
    await kubectl.apply(registryCrd());
    await kubectl.run(["wait", "--for=condition=Established", "crd/clusterregistries.pullpass.dev"]);
    webhook = await startWebhook(cluster, { registries: [], register: await withLastingAuthority(cluster) });
    await kubectl.apply(endpoints(true));
    await kubectl.apply(offeredLogin("team-a", LOGIN));
    await createNamespace(kubectl, "shop", OPTED_IN);
    await kubectl.apply(clusterRegistry("team-a", { address: "registry.example.com/team-a", use: ["pull"] }));
    await ready("team-a");
    await copies("shop", "pullpass-team-a");
  });
  afterAll(async () => {
    await webhook.stop();
  });

  /** The control plane has no controller that finds Pullpass's process. */
  const endpoints = (isReady: boolean) => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "pullpass-1",
      namespace: "pullpass",
      labels: { "kubernetes.io/service-name": "pullpass" },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: ["192.0.2.1"], conditions: { ready: isReady } }],
    ports: [{ port: 8443 }],
  });
  const copies = (namespace: string, ...names: readonly string[]) =>
    Promise.all(
      names.map((name) => cluster.kubectl.waitFor(["secret", name, `--namespace=${namespace}`], () => true)),
    );
  const ready = (name: string, value = "True") =>
    cluster.kubectl.run([
      ...["wait", `--for=condition=Ready=${value}`, `clusterregistry/${name}`, "--timeout=20s"],
    ]);
  const run = (args: readonly string[], kubeconfig = cluster.kubeconfig): Promise<ProgramResult> =>
    new Promise((resolve) => {
      const env = { ...process.env, HOME: "/nonexistent", KUBECONFIG: kubeconfig };
      const child = execFile(process.execPath, [MAIN, "doctor", ...args], { env }, (_, stdout, stderr) => {
        resolve({ stdout, stderr, status: child.exitCode });
      });
    });
  const report = async (args: readonly string[] = [], kubeconfig?: string) => {
    const { stdout, stderr, status } = await run(["--json", ...args], kubeconfig);
    expect(stderr).toBe("");
    expect(stdout).not.toContain("made-up");
    return { ...(JSON.parse(stdout) as DoctorReport), status };
  };
  const codesOf = (findings: readonly Finding[], state: Finding["state"]) =>
    findings.filter((finding) => finding.state === state).map(({ code }) => code);
  const verdicts = ({ pods }: Pick<DoctorReport, "pods">) =>
    Object.fromEntries(
      pods
        .filter((finding): finding is PodFinding => "pods" in finding)
        .flatMap((finding) => finding.pods.map((pod) => [`${finding.namespace}/${pod}`, finding.code])),
    );

  /** A pod whose container waits, by a status as kubelet writes it. */
  async function stuckPod(
    namespace: string,
    name: string,
    image: string,
    message: string,
    more: { readonly metadata?: object; readonly spec?: object; readonly reason?: string } = {},
  ): Promise<void> {
    await cluster.kubectl.create(podWith(image, { namespace, name, ...more.metadata }, more.spec));
    const waiting = { reason: more.reason ?? "ImagePullBackOff", message: cause(image, message) };
    const status = { name: "main", image, imageID: "", ready: false, restartCount: 0, state: { waiting } };
    const patch = JSON.stringify({ status: { phase: "Pending", containerStatuses: [status] } });
    await cluster.kubectl.run([
      ...["patch", "pod", name, `--namespace=${namespace}`, "--subresource=status", "--type=merge"],
      `--patch=${patch}`,
    ]);
  }

  it("finds nothing wrong in a healthy cluster, and leaves no pod behind", async () => {
    const { stdout, stderr, status } = await run([]);
    expect(stdout.replaceAll(/\d{4}-\S+Z/g, "TIME")).toBe(
      [
        "Webhook",
        "  ok         MutatingWebhookConfiguration pullpass: failurePolicy Ignore, while the webhook is unavailable, pods are created without pull secrets",
        "  ok         the API server trusts its certificates until TIME",
        "  ok         Service pullpass/pullpass has 1 ready endpoint",
        "  ok         the webhook is reached: a pod for registry team-a in namespace shop (dry run) got its pull secret",
        "Registries",
        "  ok         ClusterRegistries without a fault: 1 of 1",
        "Namespaces",
        "  ok         namespaces that opted in and have every copy: 1 of 1",
        "Pods",
        "  ok         no pod of a namespace that opted in waits for an image that could not be pulled",
        "Nothing is wrong.",
        "",
      ].join("\n"),
    );
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    const pods = await cluster.kubectl.json<{ readonly items: readonly unknown[] }>(
      "get",
      "pods",
      "--all-namespaces",
    );
    expect(pods.items).toEqual([]);
  });

  it("names each of many faults at once", async () => {
    const { kubectl } = cluster;
    const image = "registry.example.com/team-a/app:v1";
    await createNamespace(kubectl, "late");
    await createNamespace(kubectl, "others");
    await createNamespace(kubectl, "full", OPTED_IN);
    await createNamespace(kubectl, "typo", { "pullpass.dev/inject": "true" });
    await copies("full", "pullpass-team-a");
    await stuckPod("late", "older-than-opt-in", image, UNAUTHORIZED);
    await stuckPod("others", "not-opted-in", image, UNAUTHORIZED);
    await kubectl.run(["label", "namespace", "late", "pullpass.dev/inject=enabled"]);
    await copies("late", "pullpass-team-a");
    await stuckPod("shop", "older-than-registry", "new.example.com/app", UNAUTHORIZED);
    await stuckPod("shop", "opted-out", image, UNAUTHORIZED, {
      metadata: { labels: { "pullpass.dev/inject": "disabled" } },
    });
    await stuckPod("shop", "no-registry", "other.example.com/app", UNAUTHORIZED);
    await stuckPod("shop", "wrong-password", image, "failed to authorize: 401 Unauthorized");
    await stuckPod("shop", "not-found", image, 'failed to resolve reference "X": X: not found');
    await stuckPod("shop", "no-dns", image, "dial tcp: lookup registry.example.com: no such host");
    await stuckPod(
      "shop",
      "certificate",
      image,
      "tls: failed to verify certificate: x509: certificate has expired",
    );
    await stuckPod(
      "shop",
      "limited",
      image,
      "429 Too Many Requests - toomanyrequests: You have reached your limit",
    );
    await stuckPod("shop", "missing", "third.example.com/app", UNAUTHORIZED, {
      spec: { imagePullSecrets: [{ name: "regcred" }] },
    });
    await stuckPod("shop", "expired", "fourth.example.com/app", UNAUTHORIZED, {
      spec: { imagePullSecrets: [{ name: "old" }] },
    });
    const claims = Buffer.from(JSON.stringify({ exp: 1_700_000_000 })).toString("base64url");
    await createPullSecret(kubectl, {
      ...{ namespace: "shop", name: "old", server: "fourth.example.com" },
      ...{ username: "robot", password: `made-up.${claims}.made-up` },
    });

    await createPullSecret(kubectl, {
      namespace: "full",
      name: "pullpass-new",
      server: "elsewhere.example.com",
      ...LOGIN,
    });
    await kubectl.apply(
      offeredLogin("new", LOGIN),
      clusterRegistry("new", { address: "new.example.com", use: ["pull"] }),
    );
    await kubectl.apply(clusterRegistry("no-login", { address: "fifth.example.com" }));
    await ready("new", "False");
    await ready("no-login", "False");
    await copies("shop", "pullpass-new", "pullpass-team-a");
    await stuckPod("full", "not-owned", "new.example.com/app", UNAUTHORIZED);
    await kubectl.apply(endpoints(false));
    await waitUntil("the state of registry new", async () =>
      (await report()).registries.some(({ code }) => code === "SomeCopiesFailed"),
    );

    const found = await report();
    expect(found.status).toBe(1);
    expect(found.healthy).toBe(false);
    expect(verdicts(found)).toEqual({
      "full/not-owned": "secret-not-owned",
      "late/older-than-opt-in": "older-than-opt-in",
      "shop/certificate": "tls",
      "shop/expired": "secret-expired",
      "shop/limited": "rate-limited",
      "shop/missing": "secret-missing",
      "shop/no-dns": "network",
      "shop/no-registry": "no-registry",
      "shop/not-found": "not-found",
      "shop/older-than-registry": "older-than-registry",
      "shop/opted-out": "pod-opted-out",
      "shop/wrong-password": "unauthorized",
    });
    expect(codesOf(found.webhook, "fault")).toEqual(["no-endpoints"]);
    expect(codesOf(found.registries, "fault")).toEqual(["SomeCopiesFailed", "CredentialsUnreadable"]);
    expect(found.namespaces.filter(({ state }) => state === "fault")).toMatchObject([
      { code: "InjectLabelHasNoEffect", namespaces: ["typo"] },
      { code: "copy-blocked", namespaces: ["full"] },
      { code: "copy-missing", namespaces: ["full", "late", "shop"] },
      { code: "copy-missing", namespaces: ["full", "late", "shop"] },
    ]);
    expect(found.pods).toContainEqual({
      state: "note",
      code: "namespace-not-opted-in",
      message:
        "1 stuck pod is in a namespace that did not opt in, and a registry covers what it waits for: others/not-opted-in",
      namespaces: ["others"],
    });
    expect(found.notRead).toEqual([]);
  });

  it("reports on one namespace, and on one pod", async () => {
    const inNamespace = await report(["--namespace=others"]);
    expect(verdicts(inNamespace)).toEqual({ "others/not-opted-in": "namespace-not-opted-in" });
    const { stdout, status } = await run(["older-than-opt-in", "-n", "late"]);
    expect(stdout).toMatch(/^Pods\n {2}fault {6}Pod\/older-than-opt-in in late: older-than-opt-in\n/);
    expect(status).toBe(1);
    const missing = await run(["nobody", "--namespace=late"]);
    expect(missing).toMatchObject({ stdout: "", status: 1 });
    expect(missing.stderr).toContain('pods "nobody" not found');
  });

  it("tells a person with few rights what it could not read, and the rest", async () => {
    const { kubectl } = cluster;
    const role = ["create", "role", "pod-reader", "--verb=get,list", "--resource=pods", "--namespace=shop"];
    await kubectl.run(role);
    const binding = ["create", "rolebinding", "pod-reader", "--role=pod-reader", "--user=pod-reader"];
    await kubectl.run([...binding, "--namespace=shop"]);
    const kubeconfig = await cluster.kubeconfigFor("pod-reader");

    const everywhere = await report([], kubeconfig);
    expect({ status: everywhere.status, pods: everywhere.pods }).toEqual({ status: 0, pods: [] });
    expect(everywhere.notRead.map((line) => line.slice(0, line.indexOf(": ")))).toEqual([
      "ClusterRegistries",
      "namespaces",
      "MutatingWebhookConfiguration pullpass",
      "MutatingAdmissionPolicy pullpass",
      "copies (Secrets)",
      "pods",
    ]);
    expect(everywhere.notRead.every((line) => line.includes("403 Forbidden"))).toBe(true);

    const { notRead, ...inNamespace } = await report(["--namespace=shop"], kubeconfig);
    // Which registries there are is not known, so nothing is said of them.
    expect(verdicts(inNamespace)).toMatchObject({
      "shop/no-registry": "unauthorized",
      "shop/older-than-registry": "unauthorized",
      "shop/no-dns": "network",
    });
    expect(notRead.map((line) => line.slice(0, line.indexOf(": ")))).toEqual([
      "ClusterRegistries",
      "namespace shop",
      "MutatingWebhookConfiguration pullpass",
      "MutatingAdmissionPolicy pullpass",
      "copies (Secrets)",
      "Events of pods",
      "pull secrets of pods",
      "ServiceAccounts of pods",
    ]);

    const onePod = await report(["no-dns", "--namespace=shop"], kubeconfig);
    expect({ status: onePod.status, verdicts: verdicts(onePod) }).toEqual({
      status: 1,
      verdicts: { "shop/no-dns": "network" },
    });
  });

  it("asks the registry with the pod's pull secrets, or with the registry's credentials", async () => {
    const { kubectl } = cluster;
    const { host } = await startOddServer(({ path, authorization }) => {
      const [scheme, credentials = ""] = (authorization ?? "").split(" ");
      const [user] = Buffer.from(credentials, "base64").toString("utf8").split(":");
      if (scheme !== "Basic") return { status: 401, headers: { "www-authenticate": "Basic realm=odd" } };
      if (path === "/v2/" || path.endsWith("/there")) return {};
      return { status: user === LOGIN.username ? 404 : 403 };
    });
    await createNamespace(kubectl, "asked");
    await kubectl.apply(offeredLogin("odd", LOGIN), clusterRegistry("odd", { address: host, use: ["pull"] }));
    const named = {
      name: "mine",
      namespace: "asked",
      server: host,
      username: "somebody",
      password: "made-up",
    };
    await createPullSecret(kubectl, named);
    const spec = { imagePullSecrets: [{ name: "mine" }] };
    await stuckPod("asked", "there", `${host}/app:there`, UNAUTHORIZED);
    await stuckPod("asked", "gone", `${host}/app:gone`, UNAUTHORIZED);
    await stuckPod("asked", "denied", `${host}/app:gone`, UNAUTHORIZED, { spec });

    const answers = async (pod: string) => {
      const { stdout } = await run([pod, "--namespace=asked", "--ask-registry"]);
      return stdout.split("\n").filter((line) => line.startsWith("    asked"));
    };
    const withRegistry = "    asked    with registry odd:";
    expect(await answers("there")).toEqual([`${withRegistry} these credentials may pull it`]);
    expect(await answers("gone")).toEqual([`${withRegistry} the registry has no such tag gone`]);
    expect(await answers("denied")).toEqual([
      `    asked    with pull secret mine: these credentials may not pull it: 403 Forbidden from ${host}`,
      `${withRegistry} the registry has no such tag gone`,
    ]);
  });

  it("sees that the webhook is not reached, and that it is not registered", async () => {
    await webhook.stop();
    const stopped = await report();
    expect(codesOf(stopped.webhook, "fault")).toEqual(["no-endpoints", "not-injected"]);
    await cluster.kubectl.run([
      ...["patch", "mutatingwebhookconfiguration", "pullpass", "--type=json"],
      '--patch=[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Fail"}]',
    ]);
    await waitUntil("the API server to go by the policy", async () =>
      codesOf((await report()).webhook, "fault").includes("not-reached"),
    );
    await cluster.kubectl.run(["delete", "mutatingwebhookconfiguration", "pullpass"]);
    expect(codesOf((await report()).webhook, "fault")).toEqual(["not-registered"]);
  });

  it("does without the CRD of ClusterRegistries", async () => {
    await cluster.kubectl.run(["delete", "crd", "clusterregistries.pullpass.dev"]);
    const { registries, notRead } = await report();
    expect(codesOf(registries, "note")).toContain("no-crd");
    expect(notRead).toEqual([]);
  });
});
