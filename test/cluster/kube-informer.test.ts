import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { isObject, type JsonObject } from "../../src/core/kubernetes.ts";
import type { RequestInfo, Transport } from "../../src/kube/transport.ts";
import { watchOnce } from "../../src/kube/watch.ts";
import { recordInformer, type Recording } from "../kube/record-informer.ts";
import { startCluster, type OwnCluster } from "./harness/cluster.ts";
import { API_SERVER_PORT } from "./harness/control-plane.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { mountServiceAccount, type MountedServiceAccount } from "./harness/kube-clients.ts";
import { startStallingProxy } from "./harness/tcp-proxies.ts";
import { waitUntil } from "../wait-until.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";

function configMap(name: string, value: string, labels: Readonly<Record<string, string>> = {}): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data: { value } };
}

const valueOf = ({ data }: JsonObject): string =>
  isObject(data) && typeof data["value"] === "string" ? data["value"] : "none";

await describeLevel("control-plane", "an informer at a real API server", () => {
  let cluster: OwnCluster;
  let account: MountedServiceAccount;
  let client: Transport;
  const facts: RequestInfo[] = [];
  const recordings: Recording[] = [];

  beforeAll(async () => {
    cluster = await startCluster();
    account = await mountServiceAccount(cluster);
    client = account.client(undefined, { onRequest: (request) => facts.push(request) });
  });
  afterEach(() => {
    for (const { informer } of recordings.splice(0)) informer.close();
  });
  afterAll(async () => {
    client.close();
    await cluster.stop();
  });

  function record(
    label: string,
    via = client,
    options: Partial<Parameters<typeof recordInformer>[1]> = {},
  ): Recording {
    const collection = { path: "/api/v1/configmaps", query: { labelSelector: `test=${label}` } };
    const recording = recordInformer(via, { collection, factOf: valueOf, ...options });
    recordings.push(recording);
    return recording;
  }
  const create = (label: string, name: string, value = ""): Promise<unknown> =>
    client.request({ method: "POST", path: CONFIG_MAPS, body: configMap(name, value, { test: label }) });
  const synced = (recording: Recording): Promise<unknown> =>
    waitUntil("the informer to be synced", () => recording.informer.isSynced);
  const knows = (recording: Recording, name: string, value = ""): Promise<unknown> =>
    waitUntil(`the informer to know ${name}`, () => recording.known.get(name) === value);

  it("sees what is there in pages, and then what is created, changed, unlabelled and deleted", async () => {
    const names = Array.from({ length: 1_100 }, (_, index) => `page-${index.toString().padStart(4, "0")}`);
    const body = (name: string) => configMap(name, "", { test: "pages" });
    await Promise.all(
      names.map((name) =>
        client.request({ method: "POST", path: CONFIG_MAPS, body: body(name), priority: "low" }),
      ),
    );
    facts.length = 0;
    const recording = record("pages");
    await synced(recording);
    expect([...recording.known.keys()]).toEqual(names);
    expect(facts.filter(({ method }) => method === "GET")).toHaveLength(6);

    await create("pages", "late", "1");
    await knows(recording, "late", "1");
    await client.request({
      method: "PUT",
      path: `${CONFIG_MAPS}/late`,
      body: configMap("late", "2", { test: "pages" }),
    });
    await knows(recording, "late", "2");
    await client.request({ method: "PUT", path: `${CONFIG_MAPS}/late`, body: configMap("late", "2") });
    await client.request({ method: "DELETE", path: `${CONFIG_MAPS}/page-0000` });
    await waitUntil("both to go", () => recording.known.size === 1_099);
    expect(recording.reported.slice(1)).toEqual([
      "change late",
      "change late",
      "remove late",
      "remove page-0000",
    ]);
    expect(recording.restarts).toEqual([]);
  }, 120_000);

  it("gets metadata alone where it asks for it", async () => {
    await create("metadata", "bare", "made up");
    const collection = {
      path: "/api/v1/configmaps",
      query: { labelSelector: "test=metadata" },
      metadataOnly: true,
    };
    const recording = record("metadata", client, { collection });
    await knows(recording, "bare", "none");
    await create("metadata", "barer", "made up");
    await knows(recording, "barer", "none");
  });

  it("goes on when the API server ends a watch, without a list", async () => {
    const recording = record("ends", client, { timings: { watchTimeoutMs: 1_000 } });
    await waitUntil("two ends", () => recording.restarts.length >= 2);
    await create("ends", "after-ends");
    await knows(recording, "after-ends");
    expect(new Set(recording.restarts)).toEqual(new Set(["closed"]));
    expect(recording.reported).toEqual(["list ", "change after-ends"]);
  });

  it("lists again from time to time", async () => {
    const recording = record("relists", client, { timings: { relistIntervalMs: 1_000 } });
    await waitUntil("three lists", () => recording.reported.filter((line) => line === "list ").length >= 3);
    expect(recording.faults).toEqual([]);
  });

  it("notices a connection over which nothing comes any more", async () => {
    const { hostname } = new URL(cluster.server);
    // The address of the service `kubernetes`, which is in the API server's certificate.
    const from = { host: cluster.network.address(129), port: API_SERVER_PORT };
    const proxy = await startStallingProxy(from, { host: hostname, port: API_SERVER_PORT });
    const via = account.client(from.host, { timeoutMs: 2_000 });
    const recording = record("stalls", via, { timings: { watchdogMs: 3_000 } });
    await synced(recording);
    await create("stalls", "before");
    await knows(recording, "before");
    proxy.stall();
    const stalledAt = performance.now();
    await create("stalls", "meanwhile");
    await knows(recording, "meanwhile");
    expect(performance.now() - stalledAt).toBeGreaterThan(2_000);
    expect(performance.now() - stalledAt).toBeLessThan(6_000);
    expect(recording.restarts).toEqual(["watchdog"]);
    expect(recording.reported).toEqual(["list ", "change before", "change meanwhile"]);
    recording.informer.close();
    via.close();
    await waitUntil("the client to let go", () => proxy.stalled() === 0);
    await proxy.stop();
  });

  it("gets in once the token file holds a token that is taken", async () => {
    await account.writeToken("made-up");
    const via = account.client();
    const recording = record("tokens", via);
    await waitUntil("a fault", () => recording.faults.length > 0);
    expect(recording.informer.isSynced).toBe(false);
    await account.writeToken(account.token);
    // Waits between failures are up to 30 s.
    await waitUntil("the informer to be synced", () => recording.informer.isSynced, { timeoutMs: 60_000 });
    expect(recording.faults).toEqual(["list KubeApiError"]);
    via.close();
  }, 90_000);

  it("counts as heard of while nothing happens, because its watch is begun anew", async () => {
    const recording = record("quiet", client, { timings: { watchdogMs: 1_000 } });
    await synced(recording);
    const syncedAt = recording.informer.lastActivityAt;
    await waitUntil("three watches", () => recording.restarts.length >= 3);
    expect(recording.informer.lastActivityAt).toBeGreaterThan(syncedAt + 1_500);
    expect(new Set(recording.restarts)).toEqual(new Set(["watchdog"]));
    expect(recording.reported).toEqual(["list "]);
  });

  it("survives a restart of the API server", async () => {
    await create("restarts", "kept");
    const recording = record("restarts");
    await knows(recording, "kept");
    await cluster.restartApiServer();
    await create("restarts", "after");
    await knows(recording, "after");
    expect(recording.known.size).toBe(2);
    expect(recording.restarts.length).toBeGreaterThan(0);
  });

  it("is told when a resource version is too old", async () => {
    // An API server remembers nothing from before its start.
    await cluster.restartApiServer();
    const end = await watchOnce({
      transport: client,
      collection: { path: "/api/v1/configmaps" },
      resourceVersion: "1",
      timeoutSeconds: 10,
      watchdogMs: 9_000,
      signal: new AbortController().signal,
      onChange: () => undefined,
      onProgress: () => undefined,
    });
    expect(end).toEqual({ kind: "expired" });
  });
});
