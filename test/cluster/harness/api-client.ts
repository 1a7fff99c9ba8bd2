import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";
import { sendRequest, type Answer } from "./send-request.ts";

/** Creates one object, and answers as the API server does; `path` is that of the collection. */
export type Post = (path: string, object: object) => Promise<Answer>;

/** Speaks to the API server without kubectl, which does one thing after the other and hides when it did it. */
export async function apiClient({ server, authority, network }: Cluster): Promise<Post> {
  const file = (name: string) => readFile(join(network.directory, "pki", name), "utf8");
  // The pair of the cluster's admin, by which the API server also speaks to kubelets.
  const cert = await file("kubelet-client.crt");
  const key = await file("kubelet-client.key");
  return (path, object) =>
    sendRequest(`${server}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(object),
      ca: authority.pem,
      cert,
      key,
    });
}
