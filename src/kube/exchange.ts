/** One request and the head of its answer, over HTTP/1.1. */
import http from "node:http";
import https from "node:https";
import type { KubeAccess } from "./connection.ts";

export interface Exchange {
  readonly server: URL;
  readonly access: KubeAccess;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty for none. */
  readonly body: string;
  /** `false` for a connection of its own. */
  readonly agent: http.Agent | false;
  /** Cuts the connection at any time, also while the answer's body is read. */
  readonly signal: AbortSignal;
}

/**
 * A connection that was kept for the next request was closed by the other end in the moment when it was used. Nothing
 * says whether the request was read.
 */
export class StaleConnectionError extends Error {
  override readonly name = "StaleConnectionError";
}

/** The system notices a dead peer after about 20 s: ten more probes follow, one a second. */
const TCP_KEEP_ALIVE_MS = 10_000;

/** @throws StaleConnectionError, or the system's error. */
export function exchange({ server, access, signal, ...call }: Exchange): Promise<http.IncomingMessage> {
  const options: https.RequestOptions = {
    protocol: server.protocol,
    // node:https takes IPv6 addresses without brackets, and names in certificates do not have them.
    host: server.hostname.replace(/^\[|\]$/g, ""),
    ...(server.port !== "" && { port: server.port }),
    path: server.pathname.replace(/\/$/, "") + call.path,
    method: call.method,
    headers: { ...call.headers, ...access.headers, ...contentLength(call) },
    agent: access.proxy ?? call.agent,
    signal,
    ...access.tls,
  };
  return new Promise((resolve, reject) => {
    const request = (server.protocol === "http:" ? http : https).request(options);
    request.setSocketKeepAlive(true, TCP_KEEP_ALIVE_MS);
    request.setNoDelay(true);
    request.once("response", resolve);
    // Later errors are the answer's, which its reader sees.
    request.on("error", (error: NodeJS.ErrnoException) => {
      const isStale = request.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
      reject(isStale ? new StaleConnectionError(error.message, { cause: error }) : error);
    });
    request.end(call.body);
  });
}

function contentLength({ method, body }: Pick<Exchange, "method" | "body">): http.OutgoingHttpHeaders {
  return method === "GET" ? {} : { "content-length": Buffer.byteLength(body) };
}
