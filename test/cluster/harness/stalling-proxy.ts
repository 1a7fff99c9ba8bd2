import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Address } from "./forward-port.ts";

export interface StallingProxy {
  /**
   * From now on nothing passes over the connections that are open, in either direction, and nobody is told: as when a
   * firewall forgets them, or a machine is gone. New connections work.
   */
  stall(): void;
  /** How many connections have stalled and are still held open by the client. */
  stalled(): number;
  stop(): Promise<void>;
}

/** Passes connections on until it is told to lose them. */
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
