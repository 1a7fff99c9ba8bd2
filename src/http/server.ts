/** HTTPS and plain servers: time limits, a certificate that can be swapped, and an end that drops nobody. */
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { createSecureContext } from "node:tls";

/** PEM texts. */
export interface ServingCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface ListenAddress {
  readonly host: string | undefined;
  readonly port: number;
}

export interface ServerLimits {
  /** Idle connections are kept for so long. Longer than the API server keeps them (90 s in Go), so that it never meets a closing one. */
  readonly keepAliveTimeoutMs: number;
  /** A request's head has to be there by then. */
  readonly headersTimeoutMs: number;
  /** A request has to be there as a whole by then; the API server itself gives a webhook at most 30 s. */
  readonly requestTimeoutMs: number;
}

const DEFAULT_LIMITS: ServerLimits = {
  keepAliveTimeoutMs: 120_000,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 30_000,
};

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

/** Starts a server. @throws the system's error if the address cannot be had. */
export async function startServer(
  listener: http.RequestListener,
  serverOptions: ServerOptions,
): Promise<RunningServer> {
  const { certificate, limits = DEFAULT_LIMITS } = serverOptions;
  let isDraining = false;
  const onRequest: http.RequestListener = (request, response) => {
    if (isDraining) response.setHeader("connection", "close");
    listener(request, response);
  };
  const options = {
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: LIMIT_CHECK_INTERVAL_MS,
    noDelay: true,
  };
  const server =
    certificate === undefined
      ? http.createServer(options, onRequest)
      : // HTTP/1.1 is what the API server speaks to services; HTTP/2 would pin all its load to one replica.
        https.createServer({ ...options, ALPNProtocols: ["http/1.1"], ...pem(certificate) }, onRequest);
  await listen(server, serverOptions.listen);

  return {
    url: urlOf(server, certificate === undefined ? "http" : "https"),
    setCertificate(next) {
      createSecureContext(pem(next));
      if (server instanceof https.Server) server.setSecureContext(pem(next));
    },
    startDraining() {
      isDraining = true;
    },
    async close(timeoutMs) {
      isDraining = true;
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
    },
  };
}

function pem(serving: ServingCertificate | "later"): { readonly cert?: string; readonly key?: string } {
  return serving === "later" ? {} : { cert: serving.certificate, key: serving.privateKey };
}

function listen(server: http.Server | https.Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function urlOf(server: http.Server | https.Server, scheme: string): string {
  const { address, family, port } = server.address() as AddressInfo;
  const isAny = address === "::" || address === "0.0.0.0";
  const host = isAny ? "localhost" : family === "IPv6" ? `[${address}]` : address;
  return `${scheme}://${host}:${port.toString()}`;
}
