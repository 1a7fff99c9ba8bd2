import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { auditedRequests, auditedWrites } from "./harness/audit.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { API_SERVER_PORT } from "./harness/control-plane.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass, type Installation } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { startLateWatchProxy } from "./harness/tcp-proxies.ts";
import { sendRequest } from "../send-request.ts";
import { waitUntil } from "../wait-until.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const ANNOTATION = "pullpass.dev/service-accounts";
const OURS = ["pullpass-hub", "regcred"];
const CONFIGURATION = {
  registries: [
    {
      name: "hub",
      address: "docker.io",
      auth: { type: "BasicAuth", username: "hub", password: "made-up-1" },
    },
    { name: "kept-by-admin", address: "registry.example.com", secretName: "regcred" },
  ],
  serviceAccounts: { attach: ["default"] },
};
const QUIET_MS = 300;

interface Account {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly imagePullSecrets?: readonly { readonly name: string }[];
}

await describeLevel("control-plane", "the pull secrets of a ServiceAccount", () => {
  let cluster: Cluster;
  let client: Transport;
  let installation: Installation;
  let replica: Replica;

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    installation = await installPullpass(cluster, CONFIGURATION);
    replica = await installation.startReplica();
    await leaderOf(replica);
  });
  afterAll(async () => {
    await replica.stop();
  });

  const pathOf = (namespace: string, name: string) =>
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`;
  const read = async (namespace: string, name = "default") =>
    (await client.request({ method: "GET", path: pathOf(namespace, name) })) as unknown as Account;
  const namesIn = ({ imagePullSecrets = [] }: Account) => imagePullSecrets.map(({ name }) => name);
  const merge = (namespace: string, name: string, body: object) =>
    client.request({
      method: "PATCH",
      path: pathOf(namespace, name),
      contentType: "application/merge-patch+json",
      body,
    });
  const run = (...args: readonly string[]) => cluster.kubectl.run(args);
  const waitForNames = (namespace: string, names: readonly string[], account = "default") =>
    waitUntil(
      `the account ${account} of ${namespace} to have ${names.join()}`,
      async () => {
        const found = namesIn(await read(namespace, account));
        if (found.join() === names.join()) return true;
        throw new Error(`it has ${found.join()}`);
      },
      { timeoutMs: 15_000 },
    );
  const accountWrites = async (namespace: string) => {
    await sleep(QUIET_MS);
    return (await auditedWrites(cluster, namespace)).filter((write) => write.includes(" serviceaccounts "));
  };

  it("are those of the registries that the namespace may have, written once", async () => {
    await createNamespace(cluster.kubectl, "listed", OPTED_IN);
    await waitForNames("listed", OURS);
    expect((await read("listed")).metadata.annotations).toEqual({ "pullpass.dev/attached": OURS.join() });
    expect(await accountWrites("listed")).toEqual(["patch serviceaccounts listed/default"]);
  });

  it("are not touched in a namespace that did not opt in", async () => {
    await createNamespace(cluster.kubectl, "without-us");
    expect(await accountWrites("without-us")).toEqual([]);
    expect(namesIn(await read("without-us"))).toEqual([]);
  });

  it("come to accounts that the namespace's annotation lists, also to those that are made later", async () => {
    await createNamespace(cluster.kubectl, "annotated", OPTED_IN);
    await run("annotate", "namespace", "annotated", `${ANNOTATION}=builder`);
    await run("create", "serviceaccount", "builder", "--namespace=annotated");
    await run("create", "serviceaccount", "other", "--namespace=annotated");
    await waitForNames("annotated", OURS, "builder");
    expect(namesIn(await read("annotated", "other"))).toEqual([]);
    await run("annotate", "namespace", "annotated", "--overwrite", `${ANNOTATION}=other`);
    await waitForNames("annotated", OURS, "other");
    await waitForNames("annotated", [], "builder");
    expect((await read("annotated", "builder")).metadata.annotations).toBeUndefined();
  });

  it("of others stay, before, with and after ours", async () => {
    await createNamespace(cluster.kubectl, "shared");
    await merge("shared", "default", { imagePullSecrets: [{ name: "theirs" }, { name: "regcred" }] });
    await run("label", "namespace", "shared", "pullpass.dev/inject=enabled");
    await waitForNames("shared", ["theirs", "regcred", "pullpass-hub"]);
    expect((await read("shared")).metadata.annotations).toEqual({ "pullpass.dev/attached": "pullpass-hub" });
    await run("label", "namespace", "shared", "pullpass.dev/inject-");
    await waitForNames("shared", ["theirs", "regcred"]);
    expect((await read("shared")).metadata.annotations).toBeUndefined();
    expect(await accountWrites("shared")).toHaveLength(2);
  });

  it("of ours go when the namespace opts out, and the list with the last of them", async () => {
    await run("label", "namespace", "listed", "pullpass.dev/inject-");
    await waitForNames("listed", []);
    expect(await read("listed")).not.toHaveProperty("imagePullSecrets");
  });

  it("are put back when somebody replaces the list", async () => {
    await createNamespace(cluster.kubectl, "replaced", OPTED_IN);
    await waitForNames("replaced", OURS);
    await merge("replaced", "default", { imagePullSecrets: [{ name: "theirs" }] });
    await waitForNames("replaced", ["theirs", ...OURS]);
  });

  it("are complete in the end while somebody else writes the account all the time", async () => {
    await createNamespace(cluster.kubectl, "contended");
    let isDone = false;
    let theirs = 0;
    // As controllers do that keep a list of their own: read, change, and write if nobody was faster.
    const compete = async () => {
      while (!isDone) {
        const account = await client.request({ method: "GET", path: pathOf("contended", "default") });
        const names = namesIn(account as unknown as Account);
        const entry = `theirs-${String(theirs)}`;
        const body = { ...account, imagePullSecrets: [...names, entry].map((name) => ({ name })) };
        await client.request({ method: "PUT", path: pathOf("contended", "default"), body }).then(
          () => theirs++,
          () => undefined,
        );
      }
    };
    const competitors = [compete(), compete()];
    await run("label", "namespace", "contended", "pullpass.dev/inject=enabled");
    await waitUntil("ours to be among theirs", async () => {
      const names = namesIn(await read("contended"));
      return OURS.every((name) => names.includes(name));
    });
    await sleep(1000);
    isDone = true;
    await Promise.all(competitors);
    const names = namesIn(await read("contended"));
    expect(theirs).toBeGreaterThan(10);
    expect(names.filter((name) => OURS.includes(name)).toSorted()).toEqual(OURS);
    expect(names.filter((name) => name.startsWith("theirs-"))).toHaveLength(theirs);
    expect(new Set(await accountWrites("contended")).size).toBe(1);
  });

  it("are not written again by a restart, and no request was refused", async () => {
    const before = await auditedWrites(cluster);
    await replica.stop();
    await replica.start();
    await leaderOf(replica);
    await waitUntil(
      "nothing to be left to do",
      async () => (await replica.metric("pullpass_queue_depth")) === 0,
    );
    await sleep(2 * QUIET_MS);
    expect(await auditedWrites(cluster)).toEqual(before);
    const refused = (await auditedRequests(cluster)).filter(({ status }) => status === 401 || status === 403);
    expect(refused).toEqual([]);
  });

  interface Answer {
    readonly warnings?: readonly string[];
    readonly patch?: string;
  }

  /** What the webhook answers for a pod of an image of Docker Hub. */
  const reviewFor = async (namespace: string, serviceAccountName: string): Promise<Answer> => {
    const spec = { serviceAccountName, containers: [{ name: "main", image: "nginx" }] };
    const { body } = await sendRequest(`${replica.url}/mutate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        request: {
          uid: "made-up",
          kind: { group: "", version: "v1", kind: "Pod" },
          resource: { group: "", version: "v1", resource: "pods" },
          namespace,
          operation: "CREATE",
          object: { apiVersion: "v1", kind: "Pod", metadata: { name: "app", namespace }, spec },
        },
      }),
      ca: cluster.authority.pem,
    });
    return (JSON.parse(body) as { readonly response: Answer }).response;
  };

  it("come to pods of an account that enforces its list, also if the watch reports our own patch after its answer", async () => {
    const { network, authority } = cluster;
    const way = { host: network.address(129), port: API_SERVER_PORT };
    const apiServer = { host: network.address(3), port: API_SERVER_PORT };
    const proxy = await startLateWatchProxy(way, apiServer, {
      authority,
      resource: "serviceaccounts",
      delayMs: QUIET_MS,
    });
    const kubeconfig = await installation.kubeconfigFor("late", `https://${way.host}:${String(way.port)}`);
    await replica.stop();
    replica = await installation.startReplica({ kubeconfig });
    await leaderOf(replica);

    await createNamespace(cluster.kubectl, "enforcing", OPTED_IN);
    await cluster.kubectl.create({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: {
        name: "strict",
        namespace: "enforcing",
        annotations: { "kubernetes.io/enforce-mountable-secrets": "true" },
      },
    });
    const WARNING = "the service account does not list pull secret pullpass-hub, so the pod may not name it";
    await waitUntil("the webhook to know the account", async () =>
      (await reviewFor("enforcing", "strict")).warnings?.includes(WARNING),
    );
    await run("annotate", "namespace", "enforcing", `${ANNOTATION}=strict`);
    await waitForNames("enforcing", OURS, "strict");
    await waitUntil(
      "the webhook to know what was attached",
      async () => {
        const { warnings, patch } = await reviewFor("enforcing", "strict");
        return warnings === undefined && patch !== undefined;
      },
      { timeoutMs: 10_000 },
    );
    await replica.stop();
    await proxy.stop();
  });
});
