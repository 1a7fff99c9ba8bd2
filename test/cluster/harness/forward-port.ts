import { connect, createServer } from "node:net";

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
