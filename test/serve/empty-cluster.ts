/** A scripted API server of a cluster in which there is the namespace `pullpass` and nothing else, and a kubeconfig for it. */
import type { ServerResponse } from "node:http";
import { writeKubeconfig } from "../cluster/harness/certificates.ts";
import {
  answer,
  refuse,
  startFakeApiServer,
  type FakeApiServer,
  type Seen,
} from "../kube/fake-api-server.ts";

/** Whether it took the request; those that are left are answered as that cluster would. */
export type Fault = (seen: Seen, response: ServerResponse) => boolean;

export interface EmptyCluster {
  readonly server: FakeApiServer;
  readonly kubeconfig: string;
  /** What was written, as `POST /apis/...`. */
  writes(): readonly string[];
}

export async function startEmptyCluster(kubeconfig: string, fault: Fault): Promise<EmptyCluster> {
  const server = await startFakeApiServer((seen, response) => {
    if (!fault(seen, response)) answerAsEmpty(seen, response);
  });
  await writeKubeconfig(kubeconfig, {
    server: server.url.origin,
    authorityPem: server.ca,
    client: { token: "made-up" },
  });
  return {
    server,
    kubeconfig,
    writes: () =>
      server.seen.flatMap(({ method, url }) =>
        method === "GET" || url.searchParams.has("dryRun") ? [] : [`${method} ${url.pathname}`],
      ),
  };
}

function answerAsEmpty({ method, url, body }: Seen, response: ServerResponse): void {
  const { searchParams, pathname } = url;
  if (searchParams.has("watch")) {
    // Nothing ever happens.
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    return;
  }
  if (method === "DELETE") {
    refuse(response, 404, "NotFound");
    return;
  }
  if (method !== "GET") {
    const object = JSON.parse(body) as { readonly metadata?: object };
    answer(response, { ...object, metadata: { ...object.metadata, resourceVersion: "2" } });
    return;
  }
  if (pathname.includes("/leases/")) {
    refuse(response, 404, "NotFound");
    return;
  }
  const isNamespaces = pathname === "/api/v1/namespaces";
  const items = isNamespaces ? [{ metadata: { name: "pullpass", resourceVersion: "1" } }] : [];
  const isThere = searchParams.get("fieldSelector") !== "metadata.name=not-there";
  answer(response, {
    kind: "List",
    apiVersion: "v1",
    metadata: { resourceVersion: "1" },
    items: isThere ? items : [],
  });
}
