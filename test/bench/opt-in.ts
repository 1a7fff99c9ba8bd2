/** Namespaces by the thousand, and how long one waits for its copies. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { getString } from "../../src/core/kubernetes.ts";
import { INJECT_LABEL, MANAGED_BY_LABEL, MANAGER } from "../../src/core/labels.ts";
import { Transport } from "../../src/kube/transport.ts";
import { RequestRate } from "../../src/kube/request-rate.ts";
import type { Cluster } from "../cluster/harness/cluster.ts";

const CONNECTIONS = 16;
const PATIENCE_MS = 60_000;

/** A client of the cluster's admin that keeps its connections and is held back by nothing else. */
export async function createBenchClient({ server, authority, network }: Cluster): Promise<Transport> {
  const file = (name: string) => readFile(path.join(network.directory, "pki", name), "utf8");
  const cert = await file("kubelet-client.crt");
  const key = await file("kubelet-client.key");
  const access = () => Promise.resolve({ tls: { ca: authority.pem, cert, key }, headers: {} });
  return new Transport({
    connection: { server: new URL(server), namespace: undefined, access, renewAccess: access },
    rate: new RequestRate({ concurrency: CONNECTIONS }),
  });
}

export async function createNamespaces(
  client: Transport,
  names: readonly string[],
  isOptedIn: boolean,
): Promise<void> {
  const create = (name: string) =>
    client.request({
      method: "POST",
      path: "/api/v1/namespaces",
      body: {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: {
          name,
          labels: { team: name.slice(-1), stage: "test", ...(isOptedIn && { [INJECT_LABEL]: "enabled" }) },
        },
      },
      priority: "low",
    });
  await Promise.all(names.map((name) => create(name)));
}

/** How many objects there are, counted by the API server. */
export async function countObjects(client: Transport, resource: string): Promise<number> {
  const page = await client.request({ method: "GET", path: `/api/v1/${resource}`, query: { limit: "1" } });
  const { metadata } = page as { metadata?: { remainingItemCount?: number } };
  return (metadata?.remainingItemCount ?? 0) + 1;
}

/** Milliseconds from sending the namespace's label until a watch has shown so many copies. */
export async function timeOptIn(client: Transport, name: string, copies: number): Promise<number> {
  const secrets = `/api/v1/namespaces/${name}/secrets`;
  const list = await client.request({ method: "GET", path: secrets });
  const seen = new Set<string>();
  const watch = new AbortController();
  let doneAt: number | undefined;
  const timer = setTimeout(() => {
    watch.abort();
  }, PATIENCE_MS);
  const watching = client.watch(
    {
      path: secrets,
      query: {
        watch: "true",
        labelSelector: `${MANAGED_BY_LABEL}=${MANAGER}`,
        resourceVersion: getString(list["metadata"], "resourceVersion") ?? "",
      },
    },
    ({ type, object }) => {
      if (type === "ADDED") seen.add(getString(object["metadata"], "name") ?? "");
      if (seen.size < copies) return;
      doneAt ??= performance.now();
      watch.abort();
    },
    watch.signal,
  );
  const sentAt = performance.now();
  await client.request({
    method: "PATCH",
    path: `/api/v1/namespaces/${name}`,
    contentType: "application/merge-patch+json",
    body: { metadata: { labels: { [INJECT_LABEL]: "enabled" } } },
  });
  await watching;
  clearTimeout(timer);
  if (doneAt === undefined) throw new Error(`${name} has ${seen.size.toString()} of its copies`);
  return doneAt - sentAt;
}
