/** An API server that answers at once, with as many namespaces as a test wants: a real one would take minutes to have them. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface FakeCluster {
  readonly url: string;
  close(): void;
}

export async function startFakeCluster(namespaces: number): Promise<FakeCluster> {
  const metadata = (name: string, index: number): object => ({
    metadata: {
      name,
      uid: `uid-${index.toString()}`,
      resourceVersion: (index + 1).toString(),
      labels: {
        "kubernetes.io/metadata.name": name,
        team: `team-${(index % 40).toString()}`,
        ...(index % 3 === 0 && { "pullpass.dev/inject": "enabled" }),
      },
    },
  });
  const items = Array.from({ length: namespaces }, (_, index) =>
    metadata(`namespace-${index.toString().padStart(5, "0")}`, index),
  );
  const listOf = (list: readonly object[]): string =>
    JSON.stringify({ kind: "List", apiVersion: "v1", metadata: { resourceVersion: "1000000" }, items: list });
  const namespaceList = listOf(items);
  const answerTo = (path: string): string => {
    if (path.endsWith("/selfsubjectreviews"))
      return JSON.stringify({ status: { userInfo: { username: "made-up" } } });
    if (path.endsWith("/selfsubjectaccessreviews")) return JSON.stringify({ status: { allowed: true } });
    return path === "/api/v1/namespaces" ? namespaceList : listOf([]);
  };
  const server = createServer((request, response) => {
    request.resume();
    const url = new URL(request.url ?? "", "http://fake");
    response.setHeader("content-type", "application/json");
    // A watch in which nothing happens.
    if (url.searchParams.has("watch")) {
      response.flushHeaders();
      return;
    }
    response.end(answerTo(url.pathname));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port.toString()}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
