import { once } from "node:events";
import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { connectionWithToken, kubeconfigConnection } from "../../src/kube/connection.ts";
import { RequestRate } from "../../src/kube/request-rate.ts";
import { Transport } from "../../src/kube/transport.ts";
import { answer, startFakeApiServer } from "./fake-api-server.ts";

it("requests and watches go through the kubeconfig's proxy, also after a reconnect", async () => {
  const directory = await mkdtemp(path.join(tmpdir(), "pullpass-proxy-"));
  const server = await startFakeApiServer((_, response) => {
    answer(response, {});
  });
  const tunnels: string[] = [];
  const proxy = createServer().on("connect", ({ url = "" }, client) => {
    tunnels.push(url);
    const upstream = connect(Number(server.url.port), server.url.hostname, () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.pipe(client).pipe(upstream);
    });
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const file = path.join(directory, "config");
  await writeFile(
    file,
    JSON.stringify({
      clusters: [
        {
          name: "c",
          cluster: {
            server: server.url.href,
            "certificate-authority-data": Buffer.from(server.ca).toString("base64"),
            "proxy-url": `http://127.0.0.1:${(proxy.address() as AddressInfo).port.toString()}`,
          },
        },
      ],
      users: [{ name: "u", user: { token: "made-up" } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
    }),
  );
  const connection = kubeconfigConnection(file);
  const transport = new Transport({ connection, rate: new RequestRate({ concurrency: 1 }) });
  const ofPerson = new Transport({
    connection: connectionWithToken(connection, "made-up-person"),
    rate: new RequestRate({ concurrency: 1 }),
  });
  const request = { method: "GET", path: "/api" } as const;
  try {
    expect(await transport.request(request)).toEqual({});
    await transport
      .watch({ path: "/api", query: {} }, () => undefined, new AbortController().signal)
      .catch(() => undefined);
    transport.reconnect();
    expect(await transport.request(request)).toEqual({});
    expect(await ofPerson.request(request)).toEqual({});
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([
      ...Array<string>(3).fill("Bearer made-up"),
      "Bearer made-up-person",
    ]);
    expect(new Set(tunnels)).toEqual(new Set([server.url.host]));
    expect(tunnels).toHaveLength(4);
  } finally {
    transport.close();
    ofPerson.close();
    proxy.close();
    await server.stop();
    await rm(directory, { recursive: true });
  }
});
