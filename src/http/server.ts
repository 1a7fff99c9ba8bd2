/** HTTPS and plain servers: time limits, a certificate that can be swapped, and an end that drops nobody. */
import http, { type Server } from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { createSecureContext } from "node:tls";

/** PEM texts. */
export interface ServingCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface ListenAddress {
  readonly host: string | undefined;
  readonly port: number;
  /** The command line's option that says so; absent: `--listen`. */
  readonly flag?: string;
}

/** What each error of the system means for who started this. */
const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use; stop the process that listens there, or choose another port",
  EACCES: "this user may not listen there; choose a port of 1024 or above",
  EADDRNOTAVAIL: "this machine does not have that address",
};

export class CannotListenError extends Error {
  override readonly name = "CannotListenError";

  constructor({ host = "", port, flag = "--listen" }: ListenAddress, cause: Error) {
    const address = `${host.includes(":") ? `[${host}]` : host}:${port.toString()}`;
    const fault = LISTEN_FAULTS["code" in cause ? String(cause.code) : ""] ?? cause.message;
    super(`cannot listen on ${address} (${flag}): ${fault}`, { cause });
  }
}

export interface ServerLimits {
  /** Idle connections are kept for so long. Longer than the API server keeps them (90 s in Go), so that it never meets a closing one. */
  readonly keepAliveTimeoutMs: number;
  /** A request's head has to be there by then. */
  readonly headersTimeoutMs: number;
  /** A request has to be there as a whole by then; the API server itself gives a webhook at most 30 s. */
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  keepAliveTimeoutMs: 120_000,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 30_000,
  // An API server handles 600 requests at a time, 345 of them for users and controllers (the priority levels workload-low
  // and workload-high). Each of two replicas gets half of them if all create pods, and three API servers keep 25 idle
  // connections each: 248. One takes up 60 KiB, and 110 KiB if its client is after our memory.
  maxConnections: 256,
};

/** Clients have finished their TLS handshake by then; API servers give up a webhook after at most 30 s, and so would start again. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** The head of a request. An API server's has 400 bytes, and a few KiB where it has a token for us. */
const MAX_HEADER_BYTES = 8 * 1024;
/** An API server sends eight. Further ones are left out: each takes up far more memory than its text is long. */
const MAX_HEADERS = 64;

/** How often the time limits are looked at. */
const LIMIT_CHECK_INTERVAL_MS = 1_000;

/** How often a closing server looks for connections that have become idle. */
const IDLE_SWEEP_INTERVAL_MS = 50;

export interface RunningServer {
  readonly url: string;
  /** New connections are served with this certificate; those that are open go on. @throws if key and certificate do not fit. */
  setCertificate(certificate: ServingCertificate): void;
  /** From now on every answer tells the client not to use its connection again. */
  startDraining(): void;
  /** Ends once all requests that are under way are answered, or after `timeoutMs`, when the rest is cut off. */
  close(timeoutMs: number): Promise<void>;
}

export interface ServerOptions {
  /** Port 0 takes a free one. */
  readonly listen: ListenAddress;
  /**
   * Without it the server speaks plain HTTP. `later`: the port is taken now, and every TLS handshake fails until
   * `setCertificate` is called.
   */
  readonly certificate?: ServingCertificate | "later";
  readonly limits?: ServerLimits;
}

/** Starts a server. @throws CannotListenError */
export async function startServer(
  listener: http.RequestListener,
  options: ServerOptions,
): Promise<RunningServer> {
  let isDraining = false;
  const onRequest: http.RequestListener = (request, response) => {
    // A request that did not wait for the answer to the last one: API servers, kubelets and Prometheus do wait, and what
    // follows in the same packet, 1,600 more, would take up 5 MiB.
    if (response.socket === null) {
      // Not while Node takes that packet apart: its books would not add up (ERR_INTERNAL_ASSERTION).
      setImmediate(() => request.socket.destroy());
      return;
    }
    if (isDraining) response.setHeader("connection", "close");
    listener(request, response);
  };
  const server = createServer(options, onRequest);
  await listen(server, options.listen);

  return {
    url: urlOf(server),
    setCertificate(next) {
      createSecureContext(pem(next));
      if (server instanceof https.Server) server.setSecureContext(pem(next));
    },
    startDraining() {
      isDraining = true;
    },
    async close(timeoutMs) {
      isDraining = true;
      await closeWithin(server, timeoutMs);
    },
  };
}

function createServer(
  { certificate, limits = DEFAULT_LIMITS }: ServerOptions,
  onRequest: http.RequestListener,
): Server {
  const options = {
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: LIMIT_CHECK_INTERVAL_MS,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    noDelay: true,
  };
  const server =
    certificate === undefined
      ? http.createServer(options, onRequest)
      : // HTTP/1.1 is what the API server speaks to services; HTTP/2 would pin all its load to one replica.
        https.createServer({ ...options, ALPNProtocols: ["http/1.1"], ...pem(certificate) }, onRequest);
  server.maxHeadersCount = MAX_HEADERS;
  limitConnections(server, limits.maxConnections);
  return server;
}

async function closeWithin(server: Server, timeoutMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  // A connection whose last request is answered is idle, and clients would keep it.
  const sweep = setInterval(() => {
    server.closeIdleConnections();
  }, IDLE_SWEEP_INTERVAL_MS);
  const cutOff = setTimeout(() => {
    server.closeAllConnections();
  }, timeoutMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(cutOff);
}

function pem(serving: ServingCertificate | "later"): { readonly cert?: string; readonly key?: string } {
  return serving === "later" ? {} : { cert: serving.certificate, key: serving.privateKey };
}

function listen(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(new CannotListenError(address, error));
    };
    server.once("error", onError);
    server.listen({ port: address.port, host: address.host }, () => {
      server.off("error", onError);
      resolve();
    });
  });
}

function urlOf(server: Server): string {
  const scheme = server instanceof https.Server ? "https" : "http";
  const { address, family, port } = server.address() as AddressInfo;
  const isAny = address === "::" || address === "0.0.0.0";
  const host = isAny ? "localhost" : family === "IPv6" ? `[${address}]` : address;
  return `${scheme}://${host}:${port.toString()}`;
}

const LOOK_INTERVAL_MS = 1_000;

/**
 * Keeps `server` at no more than `limit` connections. A new one that is too many takes the place of the one from which
 * nothing has come for longest: whoever opens connections and keeps them takes them from no one else.
 * `server.maxConnections` would turn the new one away, and with it an API server.
 */
export function limitConnections(server: Server, limit: number): void {
  // The quietest first, each with how many bytes it had sent when it was last looked at.
  const connections = new Map<Socket, number>();
  /** Puts it last if something has come from it since. */
  const moveIfActive = (socket: Socket, bytesSeen: number): boolean => {
    const isActive = socket.bytesRead !== bytesSeen;
    if (isActive) {
      connections.delete(socket);
      connections.set(socket, socket.bytesRead);
    }
    return isActive;
  };
  const closeQuietest = (): void => {
    for (const [socket, bytesSeen] of connections) {
      if (moveIfActive(socket, bytesSeen)) continue;
      connections.delete(socket);
      socket.destroy();
      return;
    }
  };
  server.on("connection", (socket: Socket) => {
    if (connections.size >= limit) closeQuietest();
    connections.set(socket, 0);
    socket.once("close", () => connections.delete(socket));
  });
  const look = setInterval(() => {
    for (const [socket, bytesSeen] of connections) moveIfActive(socket, bytesSeen);
  }, LOOK_INTERVAL_MS).unref();
  server.once("close", () => {
    clearInterval(look);
  });
}
