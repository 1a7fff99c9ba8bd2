/** An HTTPS server on loopback that answers as a test says: for faults that a real API server cannot be made to show. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { KubeAccess, KubeConnection } from "../../src/kube/connection.ts";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";

export interface Seen {
  readonly method: string;
  /** Path and query. */
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  /** Requests on the same connection have the same. */
  readonly socket: Socket;
}

export type Script = (seen: Seen, response: ServerResponse, index: number) => void;

export interface FakeApiServer {
  readonly connection: KubeConnection;
  readonly url: URL;
  readonly ca: string;
  /** All requests so far. */
  readonly seen: readonly Seen[];
  /** How many connections are open. */
  connections(): number;
  stop(): Promise<void>;
}

export async function startFakeApiServer(script: Script): Promise<FakeApiServer> {
  const { certificate, privateKey } = await makeSelfSignedCertificate(["127.0.0.1"], new Date());
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ cert: certificate, key: privateKey }, (request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.once("end", () => {
      const { method = "", headers, socket } = request;
      const now = { method, url: new URL(request.url ?? "", "https://fake"), headers, body, socket };
      script(now, response, seen.push(now) - 1);
    });
  });
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port.toString()}`);
  const access: KubeAccess = { tls: { ca: certificate }, headers: { authorization: "Bearer made-up" } };
  return {
    url,
    ca: certificate,
    seen,
    connections: () => sockets.size,
    connection: {
      server: url,
      namespace: undefined,
      access: () => Promise.resolve(access),
      renewAccess: () => Promise.resolve(access),
    },
    async stop() {
      const closed = once(server.close(), "close");
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Ends a response with an object. */
export function answer(response: ServerResponse, object: unknown, status = 200, headers = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(object));
}

/** Ends a response with a Status. */
export function refuse(response: ServerResponse, code: number, reason: string, rest: object = {}): void {
  const { headers = {}, ...members } = rest as { readonly headers?: object };
  const message = `made up: ${reason}`;
  const status = { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message, ...members };
  answer(response, status, code, headers);
}

/** One line of a watch. */
export function eventLine(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}
