import { inspect } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { getString } from "../../src/core/kubernetes.ts";
import { kubeconfigConnection } from "../../src/kube/connection.ts";
import type { KubeRequest } from "../../src/kube/http-request.ts";
import { Transport, type RequestInfo } from "../../src/kube/transport.ts";
import { RequestRate } from "../../src/kube/request-rate.ts";
import { startCluster, type OwnCluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { mountServiceAccount, type MountedServiceAccount } from "./harness/kube-clients.ts";

const SECRETS = "/api/v1/namespaces/default/secrets";
const READ: KubeRequest = { method: "GET", path: "/api/v1/namespaces/default" };

function pullSecret(name: string, document: string): object {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name },
    type: "kubernetes.io/dockerconfigjson",
    data: { ".dockerconfigjson": Buffer.from(document).toString("base64") },
  };
}

await describeLevel("control-plane", "requests to a real API server", () => {
  let cluster: OwnCluster;
  let account: MountedServiceAccount;
  let client: Transport;
  const facts: RequestInfo[] = [];

  beforeAll(async () => {
    cluster = await startCluster();
    account = await mountServiceAccount(cluster);
    client = account.client(undefined, { onRequest: (request) => facts.push(request) });
  });
  afterAll(async () => {
    client.close();
    await cluster.stop();
  });

  it("are let in by a service account's token, over a certificate for an address", async () => {
    const namespace = await client.request(READ);
    expect(getString(namespace["metadata"], "name")).toBe("default");
    expect(facts.at(-1)).toMatchObject({ method: "GET", status: 200, priority: undefined });
  });

  it("are let in by a kubeconfig's certificate", async () => {
    const connection = kubeconfigConnection(cluster.kubeconfig);
    expect(connection.namespace).toBe("default");
    const rate = new RequestRate({ limit: { perSecond: 1, burst: 1 }, concurrency: 1 });
    const other = new Transport({ connection, rate });
    expect(getString((await other.request(READ))["metadata"], "name")).toBe("default");
    other.close();
  });

  it("create, apply, patch and delete", async () => {
    const path = `${SECRETS}/written`;
    const created = await client.request({
      method: "POST",
      path: SECRETS,
      body: pullSecret("written", "{}"),
    });
    await expect(
      client.request({ method: "POST", path: SECRETS, body: pullSecret("written", "{}") }),
    ).rejects.toMatchObject({ status: 409, reason: "AlreadyExists" });
    const applied = await client.request({
      method: "PATCH",
      path,
      query: { fieldManager: "pullpass", force: "true" },
      contentType: "application/apply-patch+yaml",
      body: pullSecret("written", '{"auths":{}}'),
    });
    const versionOf = (object: typeof created) => getString(object["metadata"], "resourceVersion");
    expect(versionOf(applied)).not.toBe(versionOf(created));
    const patched = await client.request({
      method: "PATCH",
      path,
      contentType: "application/json-patch+json",
      body: [{ op: "add", path: "/metadata/labels", value: { a: "b" } }],
    });
    expect(patched["metadata"]).toMatchObject({ labels: { a: "b" } });
    const preconditions = { uid: "00000000-0000-0000-0000-000000000000" };
    await expect(client.request({ method: "DELETE", path, body: { preconditions } })).rejects.toMatchObject({
      status: 409,
    });
    const uid = getString(created["metadata"], "uid");
    await client.request({ method: "DELETE", path, body: { preconditions: { uid } } });
    await expect(client.request({ method: "GET", path })).rejects.toMatchObject({
      status: 404,
      reason: "NotFound",
    });
  });

  it.each<[string, Omit<KubeRequest, "path">]>([
    ["is no JSON", { method: "POST", body: pullSecret("wrong", '{"auths": made-up-secret') }],
    [
      "is not base64",
      { method: "POST", body: { ...pullSecret("wrong", ""), data: { a: "made-up-secret!" } } },
    ],
    ["is no text", { method: "POST", body: { ...pullSecret("wrong", ""), data: { a: ["made-up-secret"] } } }],
    ["has no name", { method: "POST", body: pullSecret("", "made-up-secret") }],
    ["is too large", { method: "POST", body: pullSecret("wrong", "made-up-secret".repeat(120_000)) }],
  ])("that fail do not quote a Secret that %s", async (_, request) => {
    const error: unknown = await client
      .request({ ...request, path: SECRETS })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "KubeApiError" });
    expect(inspect(error, { depth: null })).not.toMatch(/made-up-secret|bWFkZS11cC1zZWNyZXQ/);
  });

  it("that apply a value of the wrong type do not quote it either", async () => {
    const error: unknown = await client
      .request({
        method: "PATCH",
        path: `${SECRETS}/wrong`,
        query: { fieldManager: "pullpass" },
        contentType: "application/apply-patch+yaml",
        body: { ...pullSecret("wrong", ""), stringData: { a: { b: "made-up-secret" } } },
      })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "KubeApiError" });
    expect(inspect(error, { depth: null })).not.toContain("made-up-secret");
  });

  it("go on with a token file that was replaced when the old token was not taken", async () => {
    await account.writeToken("made-up");
    const other = account.client();
    await expect(other.request(READ)).rejects.toMatchObject({ status: 401 });
    await account.writeToken(account.token);
    expect(getString((await other.request(READ))["metadata"], "name")).toBe("default");
    other.close();
  });

  it("have no answer while the API server is away, and have one when it is back", async () => {
    await client.request(READ);
    await cluster.stopApiServer();
    await expect(client.request(READ)).rejects.toMatchObject({ name: "KubeUnreachableError" });
    await cluster.restartApiServer();
    expect(getString((await client.request(READ))["metadata"], "name")).toBe("default");
  });
});
