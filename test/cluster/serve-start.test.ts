import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { runPullpass } from "../cli/run-pullpass.ts";
import { startServe, type ServeProcess } from "../serve/start-serve.ts";
import { writeKubeconfig, type KubeconfigFields } from "./harness/certificates.ts";
import { installManifest, rightsOf } from "./harness/chart.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace, type KubernetesObject } from "./harness/kubectl.ts";
import { waitUntil } from "../wait-until.ts";

interface ListOfObjects {
  readonly items: readonly KubernetesObject[];
}

await describeLevel("control-plane", "the start of serve at a real API server", () => {
  let cluster: Cluster;
  let directory: string;
  let config: string;
  let running: ServeProcess | undefined;

  beforeAll(async () => {
    cluster = await borrowCluster();
    directory = await mkdtemp(join(tmpdir(), "pullpass-start-"));
    config = join(directory, "pullpass.yaml");
    await writeFile(config, "registries: [{ name: hub, address: docker.io, secretName: hub-creds }]\n");
  });
  afterEach(async () => {
    running?.child.kill("SIGKILL");
    await running?.exit;
    running = undefined;
  });
  afterAll(async () => {
    await rm(directory, { recursive: true });
  });

  const serve = (kubeconfig: string, ...flags: readonly string[]) =>
    (running = startServe(["--config", config, "--kubeconfig", kubeconfig, "--shutdown-delay=0", ...flags]));
  const kubeconfigOf = async (
    client: KubeconfigFields["client"],
    authorityPem = cluster.authority.pem,
  ): Promise<string> => {
    const file = join(directory, "kubeconfig");
    await writeKubeconfig(file, { server: cluster.server, authorityPem, client });
    return file;
  };
  const tokenOf = async (account: string) => {
    const { stdout } = await cluster.kubectl.run(["create", "token", account, "--namespace=pullpass"]);
    return { token: stdout.trim() };
  };
  /** Of Leases named `pullpass`, and of Secrets with certificates. */
  const placesOf = async (kind: "leases" | "secrets") => {
    const selector =
      kind === "leases" ? "--field-selector=metadata.name=pullpass" : "--selector=pullpass.dev/certificates";
    const { items } = await cluster.kubectl.json<ListOfObjects>("get", kind, "--all-namespaces", selector);
    return items.map(({ metadata }) => metadata?.namespace);
  };

  it("waits for nothing where its namespace does not exist, and takes no Lease", async () => {
    const { stderr, status } = await serve(cluster.kubeconfig).exit;
    expect(stderr).toMatch(/^pullpass: the namespace pullpass does not exist in the cluster at https:.*\n$/);
    expect(status).toBe(1);
    expect(await placesOf("leases")).toEqual([]);
    await createNamespace(cluster.kubectl, "pullpass");
  });

  it.each<[what: string, flags: () => Promise<readonly string[]>, says: RegExp]>([
    [
      "a token that nobody issued",
      async () => ["--kubeconfig", await kubeconfigOf({ token: "made-up" })],
      /^pullpass: the API server \S+ refuses GET \S+: 401 Unauthorized: Unauthorized: renew the token .*\n$/,
    ],
    [
      "an account without rights",
      async () => ["--kubeconfig", await kubeconfigOf(await tokenOf("default"))],
      /^pullpass: the API server \S+ refuses GET \S+: 403 Forbidden: .* User "system:serviceaccount:pullpass:default" cannot (?:list|get) .*: give Pullpass the rights .*\n$/,
    ],
    [
      "another cluster's authority",
      async () => {
        const { token } = await tokenOf("default");
        const { certificatePem } = await cluster.authority.issue({ commonName: "other", hosts: ["other"] });
        return ["--kubeconfig", await kubeconfigOf({ token }, certificatePem)];
      },
      /^pullpass: the certificate of the API server \S+ is not trusted: .*\n$/,
    ],
    [
      "a port that is in use",
      async () => {
        const server = createServer().unref();
        await once(server.listen(0, "127.0.0.1"), "listening");
        const { port } = server.address() as AddressInfo;
        return ["--listen", `127.0.0.1:${String(port)}`];
      },
      /^pullpass: cannot listen on 127\.0\.0\.1:\d+ \(--listen\): the port is in use; .*\n$/,
    ],
  ])("ends with %s, and takes no Lease", async (_, flags, says) => {
    const { stderr, status } = await serve(cluster.kubeconfig, ...(await flags())).exit;
    expect(stderr).toMatch(says);
    expect(status).toBe(1);
    expect(await placesOf("leases")).toEqual([]);
    expect(await placesOf("secrets")).toEqual([]);
  });

  it("asks for no more than the rights that the chart gives", async () => {
    await cluster.kubectl.apply(...(await rightsOf()));
    const { logged } = serve(await kubeconfigOf(await tokenOf("pullpass")));
    await logged("ready");
    await waitUntil("the Lease", async () => (await placesOf("leases")).length > 0);
    expect(await placesOf("leases")).toEqual(["pullpass"]);
  });

  it("keeps out of the namespace of the kubeconfig's context, and purge finds what was written elsewhere", async () => {
    await createNamespace(cluster.kubectl, "elsewhere");
    const outside = (await installManifest()).filter(({ kind = "" }) => kind.startsWith("MutatingWebhook"));
    await cluster.kubectl.apply(...outside);
    const { child, logged, exit } = serve(cluster.kubeconfig, "--namespace=elsewhere");
    expect(await logged("starting")).toMatchObject({ namespace: "elsewhere", namespaceFrom: "--namespace" });
    await logged("ready");
    child.kill("SIGTERM");
    expect((await exit).status).toBe(0);
    expect(new Set(await placesOf("leases"))).toEqual(new Set(["elsewhere", "pullpass"]));
    expect(new Set(await placesOf("secrets"))).toEqual(new Set(["elsewhere", "pullpass"]));

    const purged = runPullpass(["purge", "--yes", `--kubeconfig=${cluster.kubeconfig}`], directory);
    expect(purged).toMatchObject({ stderr: "", status: 0 });
    expect(await placesOf("leases")).toEqual([]);
    expect(await placesOf("secrets")).toEqual([]);
  });
});
