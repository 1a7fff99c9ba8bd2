import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

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
