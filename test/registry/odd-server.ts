/** A server on a free port of loopback that answers whatever a test wants, and remembers what it was asked. */
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll } from "vitest";

export interface Received {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly authorization: string | undefined;
  readonly accept: string | undefined;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
  /** Neither ends the answer nor closes the connection. */
  readonly hangs?: boolean;
}

export interface OddServer {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly url: string;
  readonly received: readonly Received[];
}

export interface OddServerOptions {
  readonly hostname?: string;
  /** PEM; with it the server speaks TLS. */
  readonly tls?: { readonly certificate: string; readonly privateKey: string };
}

/** It is closed after the file's tests. A reply that is undefined never comes. */
export async function startOddServer(
  replyTo: (request: Received) => Reply | undefined,
  { hostname = "127.0.0.1", tls }: OddServerOptions = {},
): Promise<OddServer> {
  const received: Received[] = [];
  const listener: RequestListener = ({ method = "", url = "", headers }, response) => {
    const request = { method, path: url, authorization: headers.authorization, accept: headers.accept };
    received.push(request);
    const reply = replyTo(request);
    if (reply === undefined) return;
    response.writeHead(reply.status ?? 200, { ...reply.headers });
    response.write(reply.body ?? "");
    if (reply.hangs !== true) response.end();
  };
  const server =
    tls === undefined
      ? createHttpServer(listener)
      : createHttpsServer({ cert: tls.certificate, key: tls.privateKey }, listener);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, hostname, resolve);
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `${hostname}:${(server.address() as AddressInfo).port.toString()}`;
  return { host, url: `${tls === undefined ? "http" : "https"}://${host}`, received };
}
