/** What `helm install` makes of the chart and the image, where kubelet runs the pods and kube-proxy routes the Service. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { basename, dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { runPullpass } from "../cli/run-pullpass.ts";
import { buildGoTool } from "./harness/build-go-tool.ts";
import { renewCertificate, startCertManager } from "./harness/cert-manager.ts";
import {
  ATTACHED,
  NAMESPACE_FLAG,
  startChartOnNode,
  TEAM,
  type ChartOnNode,
} from "./harness/chart-on-node.ts";
import { ECR_HOST, startCloudApis } from "./harness/cloud-apis.ts";
import { reportToStandardError } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { enforcePorts, type EnforcedPorts } from "./harness/enforce-ports.ts";
import { programFiles, type ImageContent } from "./harness/images.ts";
import { PULLPASS_NAMESPACE } from "./harness/install-pullpass.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { REGISTRY_USER } from "./harness/node-cluster.ts";
import { podSpec, podWith, WORKLOADS, type PodList } from "./harness/pods.ts";
import {
  publishedBundles,
  readCertificateSecret,
  servedFingerprints,
} from "./harness/published-certificates.ts";
import { runCommand } from "./harness/run-command.ts";
import type { Daemon } from "./harness/run-daemon.ts";
import { CREDENTIAL_PLUGINS } from "./harness/tools.ts";
import { waitUntil } from "../wait-until.ts";

/** An authority every 16 seconds, a certificate every 8: what Pullpass goes by, before it begins. */
const WITH_SHORT_TIMING = `--set-json=extraArgs=["--renewal-timing=${JSON.stringify({
  authorityLifetimeMs: 24_000,
  servingLifetimeMs: 12_000,
  publishedForMs: 2_000,
  servedForMs: 4_000,
}).replaceAll('"', '\\"')}"]`;
/** Something is renewed several times, or kubelet has to bring it. */
const LONG = { timeout: 180_000 };
/** Every kind of which the chart or Pullpass makes objects. */
const KINDS =
  "secret,lease,deployment,service,serviceaccount,networkpolicy,pdb,job,role,rolebinding,clusterrole," +
  "clusterrolebinding,mutatingwebhookconfiguration,validatingadmissionpolicy,validatingadmissionpolicybinding," +
  "mutatingadmissionpolicy,mutatingadmissionpolicybinding";

/** Where the container has the authority of the cloud's API here. */
const CLOUD_CA = "/etc/pullpass/cloud/ca.crt";

/** The plugin, and cp for an init container. */
async function ecrImage(path: string): Promise<ImageContent> {
  const program = join(await buildGoTool(CREDENTIAL_PLUGINS, reportToStandardError), basename(path));
  const plugin = { name: path.slice(1), content: await readFile(program), mode: 0o755 };
  return { files: [plugin, ...(await programFiles("/bin/cp"))], config: { Entrypoint: [path] } };
}

await describeLevel("node", "the chart, installed", () => {
  let chart: ChartOnNode;
  let policy: EnforcedPorts;
  let certManager: Daemon | undefined;

  beforeAll(async () => {
    chart = await startChartOnNode();
    // All that follows goes through it.
    policy = await enforcePorts();
  }, 5 * 60_000);
  afterEach(async ({ task }) => {
    await chart.stopPods();
    // Otherwise one failure would take along those that follow.
    if (task.result?.state === "fail") await chart.reset();
  });
  afterAll(async () => {
    await certManager?.stop();
    await chart.stop();
  });

  const runningIn = (namespace: string, count: number) =>
    chart.cluster.kubectl.waitFor<PodList>(
      ["pods", `--namespace=${namespace}`],
      ({ items }) => items.length === count && items.every(({ status }) => status?.phase === "Running"),
    );
  const objectsOfPullpass = async (moreKinds = "") => {
    const { stdout } = await chart.cluster.kubectl.run([
      "get",
      `${KINDS}${moreKinds}`,
      "--all-namespaces",
      "--output=name",
    ]);
    return stdout.split("\n").filter((line) => line.includes("pullpass"));
  };
  const pullSecretsOfAccount = async () =>
    (await chart.cluster.kubectl.json("get", "serviceaccount", "default", `--namespace=${ATTACHED}`))[
      "imagePullSecrets"
    ];

  const areServing = (fingerprint: string) =>
    waitUntil(
      "all replicas to serve the certificate",
      async () =>
        (await servedFingerprints(chart.cluster.kubectl)).join() === [fingerprint, fingerprint].join(),
      { timeoutMs: 90_000, intervalMs: 500 },
    );

  it("runs two replicas", LONG, async () => {
    await chart.ensureInstalled();
    await runningIn(PULLPASS_NAMESPACE, 2);
  });

  it("lets a Deployment with a private image run", async () => {
    await chart.ensureInstalled();
    const { kubectl, passwordRegistry } = chart.cluster;
    const image = await passwordRegistry.push(`${TEAM}/app:v1`, REGISTRY_USER);
    await kubectl.run(
      ["apply", "--filename=-", `--namespace=${TEAM}`],
      JSON.stringify(WORKLOADS.Deployment("app", podSpec(image))),
    );
    const { items } = await runningIn(TEAM, 2);
    expect(items[0]?.spec.imagePullSecrets).toEqual([{ name: "pullpass-team-a" }]);
  });

  it(
    "refuses no pod while it is upgraded, and not one misses its secret; no certificate is renewed",
    LONG,
    async () => {
      await chart.ensureInstalled();
      const before = await readCertificateSecret(chart.client);
      const pods = chart.startPods("upgrade");
      await chart.deploy("--set=podAnnotations.a=b");
      const { count, ...result } = await pods.stop();
      expect(count).toBeGreaterThan(100);
      expect(result).toMatchObject({ refused: [], withoutSecret: 0 });
      expect((await readCertificateSecret(chart.client)).resourceVersion).toBe(before.resourceVersion);
    },
  );

  it("changes to a policy and back, and refuses no pod, and not one misses its secret", LONG, async () => {
    await chart.ensureInstalled();
    // A webhook that has just been registered has no caBundle yet, and would refuse pods under Fail.
    const isIgnored = "--set=webhook.failurePolicy=Ignore";
    const areThere = async () =>
      (await objectsOfPullpass()).filter((object) => object.startsWith("mutating"));
    const pods = chart.startPods("modes");
    await chart.deploy("--set=mode=policy", isIgnored);
    await pods.more();
    expect(await areThere()).toEqual([
      "mutatingadmissionpolicy.admissionregistration.k8s.io/pullpass",
      "mutatingadmissionpolicybinding.admissionregistration.k8s.io/pullpass",
    ]);
    await chart.deploy(isIgnored);
    await waitUntil(
      "the policy to be removed",
      async () =>
        (await areThere()).join() === "mutatingwebhookconfiguration.admissionregistration.k8s.io/pullpass",
      { timeoutMs: 60_000 },
    );
    await pods.more();
    expect(await pods.stop()).toMatchObject({ refused: [], withoutSecret: 0 });
    await chart.deploy();
  });

  it("refuses no pod while its certificates are renewed, again and again", LONG, async () => {
    await chart.ensureInstalled();
    const { kubectl } = chart.cluster;
    const authorities = new Set<string | undefined>();
    const certificates = new Set<string | undefined>();
    const pods = chart.startPods("renewal");
    await chart.deploy(WITH_SHORT_TIMING);
    // One that is still stopping may lead, and would make certificates that last.
    await runningIn(PULLPASS_NAMESPACE, 2);
    // What is there lasts for a year.
    await kubectl.run(["delete", "secret", "pullpass-tls", NAMESPACE_FLAG]);
    const startedAt = Date.now();
    await waitUntil(
      "three authorities and five certificates",
      async () => {
        const { authority, serving } = await readCertificateSecret(chart.client);
        authorities.add(authority?.fingerprint256);
        certificates.add(serving?.fingerprint256);
        return authorities.size >= 3 && certificates.size >= 5;
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
    const { count, ...result } = await pods.stop();
    process.stderr.write(
      `renewal: ${String(authorities.size)} authorities and ${String(certificates.size)} certificates in ` +
        `${String(Math.round((Date.now() - startedAt) / 1000))} s\n`,
    );
    expect(count).toBeGreaterThan(100);
    expect(result).toMatchObject({ refused: [], withoutSecret: 0 });
  });

  it("needs nothing that its NetworkPolicy does not let through, and nothing else gets through", async () => {
    await chart.ensureInstalled();
    expect(await policy.dropped()).toBe(0);
    const pods = ["pods", NAMESPACE_FLAG, "--output=jsonpath={.items[0].status.podIP}"];
    const { stdout: host } = await chart.cluster.kubectl.run(["get", ...pods]);
    const socket = connect({ host, port: 9, timeout: 500 });
    await once(socket, "timeout");
    socket.destroy();
    expect(await policy.dropped()).toBeGreaterThan(0);
  });

  it("leaves nothing behind when it is uninstalled, and refuses no pod meanwhile", async () => {
    await chart.ensureInstalled();
    await waitUntil(
      "the account to have its secret",
      async () => (await pullSecretsOfAccount()) !== undefined,
    );
    // Under Fail the API server may hear of the Service's end before that of the webhook.
    await chart.deploy("--reuse-values", "--set=webhook.failurePolicy=Ignore");
    const pods = chart.startPods("uninstall");
    await chart.uninstall();
    expect(await objectsOfPullpass()).toEqual([]);
    expect(await pullSecretsOfAccount()).toBeUndefined();
    expect(await chart.pullSecretsNow()).toEqual([]);
    expect((await pods.stop()).refused).toEqual([]);
  });

  it.each([
    ["an image volume brings", "by-volume", false],
    ["an init container copies", "by-copy", true],
  ])("has a pod pull with what a program hands out that %s", LONG, async (_, namespace, initContainer) => {
    const { kubectl, node, passwordRegistry, network, authority } = chart.cluster;
    const apis = await startCloudApis({ host: network.address(14), authority, directory: network.directory });
    try {
      await passwordRegistry.setUser(apis.ecrLogin);
      await node.containerd.trustRegistry(ECR_HOST, passwordRegistry.url, passwordRegistry.authorityFile);
      await passwordRegistry.push(`${namespace}/app:v1`, REGISTRY_USER);
      const program = "/usr/local/bin/ecr-credential-provider";
      const image = await passwordRegistry.push(
        `tools/${namespace}:v1`,
        REGISTRY_USER,
        await ecrImage(program),
      );
      await kubectl.run([
        "create",
        "configmap",
        namespace,
        NAMESPACE_FLAG,
        `--from-literal=ca.crt=${authority.pem}`,
      ]);
      const configFile = join(network.directory, `${namespace}.yaml`);
      const [ecr] = apis.providers;
      const env = ecr?.env.map(({ name, value }) => ({
        name,
        value: name === "AWS_CA_BUNDLE" ? CLOUD_CA : value,
      }));
      const auth = { type: "Provider", provider: ecr?.name };
      const registries = [
        { name: "ecr", address: `${ECR_HOST}/${namespace}`, auth },
        // By this one the webhook is known to be reached.
        {
          name: TEAM,
          address: `${passwordRegistry.host}/${TEAM}`,
          auth: { type: "BasicAuth", ...REGISTRY_USER },
        },
      ];
      await writeFile(configFile, JSON.stringify({ providers: [{ ...ecr, env }], registries }));
      await chart.deploy(
        `--set-json=credentialProviders=${JSON.stringify([{ image, path: program, initContainer }])}`,
        `--set-json=extraVolumes=${JSON.stringify([{ name: "cloud", configMap: { name: namespace } }])}`,
        `--set-json=extraVolumeMounts=${JSON.stringify([{ name: "cloud", mountPath: dirname(CLOUD_CA) }])}`,
        `--set-file=configFile=${configFile}`,
        // Under Fail the API server may hear of the Service's end before that of the webhook.
        "--set=webhook.failurePolicy=Ignore",
      );
      await createNamespace(kubectl, namespace, { "pullpass.dev/inject": "enabled" });
      await kubectl.create(podWith(`${ECR_HOST}/${namespace}/app:v1`, { name: "app", namespace }));
      await runningIn(namespace, 1);
      // By one replica of two, and once.
      expect(apis.requests).toEqual(["ecr GetAuthorizationToken"]);
    } finally {
      await chart.uninstall();
      await apis.stop();
    }
  });

  it("serves a certificate that was made by hand, and the next one, and refuses no pod", LONG, async () => {
    const { kubectl, network } = chart.cluster;
    const directory = join(network.directory, "by-hand");
    const make = () => runCommand("certs/make.sh", [directory]);
    const secret = ["secret", "tls", "by-hand", NAMESPACE_FLAG];
    const files = [`--cert=${directory}/tls.crt`, `--key=${directory}/tls.key`];
    const fingerprintOf = async (file: string) =>
      new X509Certificate(await readFile(join(directory, file))).fingerprint256;
    await make();
    await kubectl.run(["create", ...secret, ...files]);
    const mode = "--set=tls.mode=secret,tls.secretName=by-hand";
    await chart.deploy(mode, `--set-file=tls.caBundle=${directory}/ca.crt`);
    await areServing(await fingerprintOf("tls.crt"));
    expect(await publishedBundles(chart.client)).toEqual([[await fingerprintOf("ca.crt")]]);
    const pods = chart.startPods("by hand");
    await pods.more();
    await make();
    const { stdout } = await kubectl.run([
      "create",
      ...secret,
      ...files,
      "--dry-run=client",
      "--output=yaml",
    ]);
    await kubectl.run(["replace", "--filename=-"], stdout);
    await areServing(await fingerprintOf("tls.crt"));
    await pods.more();
    expect(await pods.stop()).toMatchObject({ refused: [], withoutSecret: 0 });
    await chart.uninstall();
    // It is the admin's, and stays.
    expect(await objectsOfPullpass()).toEqual([]);
    await kubectl.run(["delete", "secret", "by-hand", NAMESPACE_FLAG]);
  });

  it("is given its certificates by cert-manager, and the next ones, and refuses no pod", LONG, async () => {
    certManager = await startCertManager(chart.cluster);
    await chart.deploy("--set=tls.mode=cert-manager");
    const renew = async (name: string, secretName: string) => {
      const fingerprint = async () =>
        (await readCertificateSecret(chart.client, secretName)).serving?.fingerprint256;
      const before = await fingerprint();
      await renewCertificate(chart.cluster, name);
      return waitUntil(`${name} to be renewed`, async () => {
        const now = await fingerprint();
        return now !== before && now;
      });
    };
    const bundles = await publishedBundles(chart.client);
    const pods = chart.startPods("cert-manager");
    await pods.more();
    await areServing(await renew("pullpass", "pullpass-tls"));
    expect(await publishedBundles(chart.client)).toEqual(bundles);
    const authority = await renew("pullpass-ca", "pullpass-tls-ca");
    await areServing(await renew("pullpass", "pullpass-tls"));
    await waitUntil("the new authority", async () =>
      (await publishedBundles(chart.client)).flat().includes(authority),
    );
    await pods.more();
    expect(await pods.stop()).toMatchObject({ refused: [], withoutSecret: 0 });
    await chart.uninstall();
    // What belongs to a certificate is collected as garbage a moment later.
    const kinds = ",certificate,issuer,certificaterequest";
    await waitUntil("nothing to be left", async () => (await objectsOfPullpass(kinds)).length === 0);
  });

  it("keeps no pod out when its namespace is deleted by force; purge then removes the rest", async () => {
    const { kubectl, kubeconfig } = chart.cluster;
    await chart.deploy("--set=webhook.failurePolicy=Ignore");
    await waitUntil(
      "the account to have its secret",
      async () => (await pullSecretsOfAccount()) !== undefined,
    );
    const pods = chart.startPods("deleted by force");
    await kubectl.run(["delete", "namespace", PULLPASS_NAMESPACE, "--wait=false"]);
    await kubectl.run(["delete", "pods", "--all", NAMESPACE_FLAG, "--force", "--grace-period=0"]);
    await kubectl.run(["wait", "--for=delete", `namespace/${PULLPASS_NAMESPACE}`, "--timeout=60s"]);
    // Containers go on for a moment; then nobody is there to be asked.
    await waitUntil("a pod without its secret", async () => (await chart.pullSecretsNow()).length === 0);
    const { refused, slowestMs } = await pods.stop();
    expect(refused).toEqual([]);
    // The chart's timeoutSeconds, and a second for all else.
    expect(slowestMs).toBeLessThan(6000);
    expect(await objectsOfPullpass()).toContain(
      "mutatingwebhookconfiguration.admissionregistration.k8s.io/pullpass",
    );
    expect(runPullpass(["purge", "--yes", `--kubeconfig=${kubeconfig}`], ".")).toMatchObject({
      stderr: "",
      status: 0,
    });
    expect(await objectsOfPullpass()).toEqual([]);
    expect(await pullSecretsOfAccount()).toBeUndefined();
  });
});
