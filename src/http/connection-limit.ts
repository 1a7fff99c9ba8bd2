/** Bounds how many connections a server has at once. */
import type { Server } from "node:http";
import type { Socket } from "node:net";

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
