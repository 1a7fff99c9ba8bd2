/**
 * Credentials that end, from the program that hands them out to a pod that runs.
 *
 * The programs of clouds are the real ones. Two have no module that can be built here, and are not in it: Google's plugin for kubelet,
 * auth-provider-gcp, and Azure's, acr-credential-provider. docker's helpers for both are.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { MAIN } from "../cli/run-pullpass.ts";
import { waitUntil } from "../wait-until.ts";
import { buildGoTool } from "./harness/build-go-tool.ts";
import {
  ACR_HOST,
  ARTIFACT_REGISTRY_HOST,
  ECR_HOST,
  GOOGLE_USER,
  startCloudApis,
  type CloudApis,
} from "./harness/cloud-apis.ts";
import { reportToStandardError } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { podWith, pullFaultsIn, waitForRunning } from "./harness/pods.ts";
import { copiesIn } from "./harness/read-copies.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { forwardPort } from "./harness/tcp-proxies.ts";
import { CREDENTIAL_PLUGINS } from "./harness/tools.ts";

const NAMESPACE = "team-a";
/** In a mount namespace of its own, so that the machine sees none of it. */
const WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';

await describeLevel("node", "credentials that end", () => {
  let cluster: NodeCluster;
  let client: Transport;
  let apis: CloudApis;
  let webhook: RunningWebhook;
  let programs: string;
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    programs = await buildGoTool(CREDENTIAL_PLUGINS, reportToStandardError);
    const registryNames = [ECR_HOST, ARTIFACT_REGISTRY_HOST, ACR_HOST];
    cluster = await startNodeCluster({ registryNames });
    client = createTestKubeClient(cluster);
    const { node, network, authority, passwordRegistry, tokenRegistry } = cluster;
    const directory = join(network.directory, "providers");
    await mkdir(directory);
    apis = await startCloudApis({ host: network.address(14), authority, directory });

    await passwordRegistry.setUser(apis.ecrLogin);
    await tokenRegistry.setUser(apis.acrLogin);
    tokenRegistry.setPasswords(GOOGLE_USER, apis.isGoogleToken);
    const registryOf = (name: string) => (name === ECR_HOST ? passwordRegistry : tokenRegistry);
    for (const [index, name] of registryNames.entries()) {
      const { url, authorityFile, host } = registryOf(name);
      await node.containerd.trustRegistry(name, url, authorityFile);
      const [address = "", port] = host.split(":");
      const from = { host: network.address(15 + index), port: 443 };
      stops.push(await forwardPort(from, { host: address, port: Number(port) }));
    }
    webhook = await startWebhook(cluster, { ...configuration(), flags: programFlags() });
    await createNamespace(cluster.kubectl, NAMESPACE, { "pullpass.dev/inject": "enabled" });
    // What is asked for from here on, a test has asked for.
    await waitUntil("the copies of what each program handed out", async () => {
      const copies = Object.keys(await copiesIn(client, NAMESPACE));
      return copies.length === configuration().registries.length;
    });
  });
  afterAll(async () => {
    await webhook.stop();
    for (const stop of [...stops, () => apis.stop()]) await stop();
    client.close();
    await cluster.stop();
  });

  const configuration = () => ({
    providers: apis.providers,
    registries: [
      registry("ecr", `${ECR_HOST}/team-a`, "ecr-credential-provider"),
      registry("ecr-helper", `${ECR_HOST}/team-b`, "docker-credential-ecr-login"),
      registry("artifact-registry", `${ARTIFACT_REGISTRY_HOST}/made-up/team-a`, "docker-credential-gcr"),
      registry("acr", ACR_HOST, "docker-credential-acr-env"),
    ],
  });
  const programFlags = () => [`--credential-provider-bin-dir=${programs}`];
  /** Runs `pullpass check` where the names of clouds lead to the registries here, and makes sure that it gives nothing away. */
  const check = async (...flags: readonly string[]) => {
    const { network, passwordRegistry } = cluster;
    const hosts = join(network.directory, "hosts");
    const lines = [ECR_HOST, ARTIFACT_REGISTRY_HOST, ACR_HOST].map(
      (name, index) => `${network.address(15 + index)} ${name}\n`,
    );
    await writeFile(hosts, lines.join(""));
    const command = [
      process.execPath,
      MAIN,
      "check",
      `--config=${webhook.configFile}`,
      ...programFlags(),
      ...flags,
    ];
    const child = spawn(
      "unshare",
      ["--mount", "--propagation", "private", "sh", "-c", WITH_HOSTS, "check", hosts, ...command],
      { env: { PATH: process.env["PATH"], NODE_EXTRA_CA_CERTS: passwordRegistry.authorityFile } },
    );
    const closed = once(child, "close");
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [status] = (await closed) as readonly unknown[];
    for (const secret of [apis.ecrLogin.password, apis.acrLogin.password, "eyJ"])
      expect(stdout + stderr).not.toContain(secret);
    return { stdout, stderr, status };
  };

  it("are checked: each program runs once, and says what came", async () => {
    const asked = apis.requests.length;
    const { stdout, ...others } = await check();
    expect(others).toEqual({ stderr: "", status: 0 });
    const time = String.raw`\d{4}-\d\d-\d\dT[\d:]+Z`;
    const answered = (name: string, image: string, provider: string, duration: string) =>
      `${name}: ${image}: ${provider} answered in S s: 1 of 1 entry matches, cacheKeyType Registry, ${duration}, expires TIME`;
    const lines = stdout.replaceAll(new RegExp(time, "g"), "TIME").replaceAll(/ in [\d.]+ s:/g, " in S s:");
    expect(lines.trimEnd().split("\n")).toEqual([
      "4 registries, 0 errors, 0 warnings",
      answered("ecr", `${ECR_HOST}/team-a`, "ecr-credential-provider", "cacheDuration 6h"),
      answered("ecr-helper", `${ECR_HOST}/team-b`, "docker-credential-ecr-login", "no cacheDuration"),
      answered(
        ...(["artifact-registry", `${ARTIFACT_REGISTRY_HOST}/made-up/team-a`] as const),
        ...(["docker-credential-gcr", "no cacheDuration"] as const),
      ),
      answered("acr", `${ACR_HOST}/pullpass`, "docker-credential-acr-env", "no cacheDuration"),
    ]);
    expect(apis.requests.slice(asked).toSorted()).toEqual([
      "POST login.microsoftonline.com/made-up-tenant/oauth2/token?api-version=1.0",
      `POST ${ACR_HOST}/oauth2/exchange`,
      ...["ecr GetAuthorizationToken", "ecr GetAuthorizationToken"],
    ]);
  });

  it("are checked: what each program hands out logs in", async () => {
    const { stdout, ...others } = await check("--login");
    expect(others).toEqual({ stderr: "", status: 0 });
    expect(stdout.trimEnd().split("\n").slice(-4)).toEqual([
      `ecr: ${ECR_HOST}/team-a: login works (basic)`,
      `ecr-helper: ${ECR_HOST}/team-b: login works (basic)`,
      `artifact-registry: ${ARTIFACT_REGISTRY_HOST}/made-up/team-a: login works (token)`,
      `acr: ${ACR_HOST}: login works (token)`,
    ]);
  });

  it.each([
    ["ecr-credential-provider", `${ECR_HOST}/team-a`],
    ["docker-credential-ecr-login", `${ECR_HOST}/team-b`],
    ["docker-credential-gcr", `${ARTIFACT_REGISTRY_HOST}/made-up/team-a`],
    ["docker-credential-acr-env", `${ACR_HOST}/team-a`],
  ])("let a pod pull and run: those of %s", async (provider, address) => {
    const [host = "", ...path] = address.split("/");
    const registryBehind = host === ECR_HOST ? cluster.passwordRegistry : cluster.tokenRegistry;
    await registryBehind.push(`${path.join("/")}/app:v1`, REGISTRY_USER);
    await cluster.kubectl.create(podWith(`${address}/app:v1`, { name: provider, namespace: NAMESPACE }));
    await waitForRunning(cluster, provider, NAMESPACE);
    expect(await pullFaultsIn(cluster, NAMESPACE)).toEqual([]);
  });

  it("are not asked for again by a Pullpass that is started again", async () => {
    const asked = apis.requests.length;
    const before = await copiesIn(client, NAMESPACE);
    await webhook.stop();
    await webhook.start();
    await sleep(3000);
    expect(apis.requests.slice(asked)).toEqual([]);
    expect(await copiesIn(client, NAMESPACE)).toEqual(before);
  });
});

function registry(name: string, address: string, provider: string) {
  return { name, address, auth: { type: "Provider", provider }, use: ["pull"] };
}
