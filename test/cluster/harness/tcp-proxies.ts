import { once } from "node:events";
import { createServer as createHttpsServer, request as httpsRequest } from "node:https";
import { connect, createServer, type Socket } from "node:net";
import { Transform } from "node:stream";
import type { Authority } from "./certificates.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Passes every connection to one address on to another one, and returns how to stop. */
export async function forwardPort(from: Address, to: Address): Promise<() => Promise<void>> {
  const open = new Set<{ destroy(): unknown }>();
  const server = createServer((client) => {
    const upstream = connect(to);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket);
      socket.pipe(other);
      // One end that breaks takes the other one along; there is nobody to tell.
      socket
        .on("error", () => undefined)
        .once("close", () => {
          open.delete(socket);
          other.destroy();
        });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(from.port, from.host, resolve);
  });
  return async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of open) socket.destroy();
    await closed;
  };
}

export interface Balancer {
  stop(): Promise<void>;
}

/**
 * What kube-proxy does for a Service: each new connection goes to the next of the hosts, at the same port. One that does
 * not listen is passed over, as one that is not ready is.
 */
export async function startBalancer(host: string, port: number, hosts: readonly string[]): Promise<Balancer> {
  let next = 0;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  const forward = (client: Socket, [target = "", ...others]: readonly string[]): void => {
    const server = connect({ host: target, port });
    keep(server);
    let isConnected = false;
    server.once("connect", () => {
      isConnected = true;
      client.pipe(server).pipe(client);
    });
    server.on("error", () => {
      if (!isConnected && others.length > 0) forward(client, others);
      else client.destroy();
    });
    client.once("close", () => server.destroy());
  };
  const balancer = createServer((client) => {
    keep(client);
    client.on("error", () => client.destroy());
    const first = next++ % hosts.length;
    forward(client, [...hosts.slice(first), ...hosts.slice(0, first)]);
  });
  await once(balancer.listen({ host, port }), "listening");
  return {
    async stop() {
      const closed = once(balancer, "close");
      balancer.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export interface StallingProxy {
  /**
   * From now on nothing passes over the connections that are open, in either direction, and neither end notices: as when a
   * firewall forgets them, or a machine is gone. New connections work.
   */
  stall(): void;
  /** How many connections have stalled and are still held open by the client. */
  stalled(): number;
  stop(): Promise<void>;
}

/** Passes connections on until `stall` is called. */
export async function startStallingProxy(from: Address, to: Address): Promise<StallingProxy> {
  const open = new Map<Socket, Socket>();
  const lost = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(to);
    open.set(client, upstream);
    client.pipe(upstream).pipe(client);
    upstream.on("error", () => undefined).once("close", () => open.has(client) && client.destroy());
    client
      .on("error", () => undefined)
      .once("close", () => {
        open.delete(client);
        lost.delete(client);
        upstream.destroy();
      });
  });
  await once(server.listen(from.port, from.host), "listening");
  return {
    stall() {
      for (const [client, upstream] of open) {
        client.unpipe(upstream);
        upstream.unpipe(client);
        // Still read, so that the client's end is noticed; what it says is lost.
        client.resume();
        upstream.resume();
        lost.add(client);
        open.delete(client);
      }
    },
    stalled: () => lost.size,
    async stop() {
      const closed = once(server.close(), "close");
      for (const client of [...open.keys(), ...lost]) client.destroy();
      await closed;
    },
  };
}

/** Passes requests on to the API server at `to`; what a watch of that resource reports arrives later, in order. */
export async function startLateWatchProxy(
  from: Address,
  to: Address,
  { authority, resource, delayMs }: LateWatch,
): Promise<{ stop(): Promise<void> }> {
  const { certificatePem, keyPem } = await authority.issue({ commonName: "late", hosts: [from.host] });
  const proxy = createHttpsServer({ cert: certificatePem, key: keyPem }, (request, response) => {
    const { url = "", method, headers } = request;
    const { pathname, searchParams } = new URL(url, "https://late");
    const isLate = pathname.endsWith(`/${resource}`) && searchParams.has("watch");
    const upstream = httpsRequest({ ...to, path: url, method, headers, ca: authority.pem }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers).flushHeaders();
      const late = new Transform({
        transform: (chunk, _encoding, done) => void setTimeout(done, delayMs, null, chunk),
      });
      (isLate ? answer.pipe(late) : answer).pipe(response);
    });
    upstream.on("error", () => response.destroy());
    response.once("close", () => upstream.destroy());
    request.pipe(upstream);
  });
  await once(proxy.listen(from.port, from.host), "listening");
  return {
    async stop() {
      const closed = once(proxy.close(), "close");
      proxy.closeAllConnections();
      await closed;
    },
  };
}

export interface LateWatch {
  readonly authority: Authority;
  /** Such as `serviceaccounts`. */
  readonly resource: string;
  readonly delayMs: number;
}
