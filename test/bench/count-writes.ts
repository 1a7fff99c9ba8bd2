/** Counts what was written, by the API server's own account. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Cluster } from "../cluster/harness/cluster.ts";
import { sendRequest } from "../send-request.ts";

/** Requests that write Secrets, those that were refused included, since the API server started. */
export function countSecretWrites(cluster: Cluster): Promise<number> {
  return countWrites(cluster, "secrets");
}

/** The same of the objects of one resource; those of the status of ClusterRegistries are all of theirs that Pullpass sends. */
export async function countWrites(
  { server, authority, network }: Cluster,
  resource: string,
): Promise<number> {
  const file = (name: string) => readFile(path.join(network.directory, "pki", name), "utf8");
  const { body } = await sendRequest(`${server}/metrics`, {
    ca: authority.pem,
    cert: await file("kubelet-client.crt"),
    key: await file("kubelet-client.key"),
  });
  const writes = body
    .split("\n")
    .filter((line) => line.startsWith("apiserver_request_total{") && line.includes(`resource="${resource}"`))
    .filter((line) => /verb="(?:POST|PUT|PATCH|APPLY|DELETE|DELETECOLLECTION)"/.test(line));
  return writes.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
