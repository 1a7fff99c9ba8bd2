/**
 * A load of requests over kept TLS connections, each waiting for its answer before the next request.
 *
 * It writes prepared bytes and reads just the head of the answers, so that it costs far less than the server that it
 * measures, and a server's limit is not mistaken for the load's.
 */
import { performance } from "node:perf_hooks";
import { connect, type TLSSocket } from "node:tls";

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly body: Buffer;
  readonly connections: number;
  readonly durationMs: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly elapsedMs: number;
  /** Milliseconds of every request, sorted. */
  readonly latencies: Float64Array;
}

/** @throws Error if an answer is not 200, or a connection ends. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const request = Buffer.concat([requestHead(options), options.body]);
  const sockets = await Promise.all(Array.from({ length: options.connections }, () => open(options)));
  const latencies: number[] = [];
  const start = performance.now();
  const end = start + options.durationMs;
  await Promise.all(sockets.map((socket) => drive(socket, request, end, latencies)));
  const elapsedMs = performance.now() - start;
  for (const socket of sockets) socket.destroy();
  return { requests: latencies.length, elapsedMs, latencies: Float64Array.from(latencies).sort() };
}

/** What the API server sends. */
function requestHead({ host, port, body }: LoadOptions): Buffer {
  return Buffer.from(
    [
      "POST /mutate?timeout=10s HTTP/1.1",
      `Host: ${host}:${port.toString()}`,
      "User-Agent: kube-apiserver-admission",
      `Content-Length: ${body.length.toString()}`,
      "Accept: application/json, */*",
      "Content-Type: application/json",
      "Accept-Encoding: gzip",
      "",
      "",
    ].join("\r\n"),
  );
}

function open({ host, port, ca }: LoadOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ca, servername: "localhost", ALPNProtocols: ["http/1.1"] }, () => {
      socket.setNoDelay(true);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

function drive(socket: TLSSocket, request: Buffer, end: number, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentAt = 0;
    let remaining = -1;
    const send = (): void => {
      sentAt = performance.now();
      remaining = -1;
      socket.write(request);
    };
    socket.on("data", (chunk: Buffer) => {
      remaining = remaining < 0 ? bytesLeft(chunk) : remaining - chunk.length;
      if (Number.isNaN(remaining)) {
        reject(new Error(`unexpected answer: ${chunk.subarray(0, 200).toString("latin1")}`));
        return;
      }
      if (remaining > 0) return;
      const now = performance.now();
      latencies.push(now - sentAt);
      if (now < end) send();
      else resolve();
    });
    socket.on("close", () => {
      reject(new Error("the server closed a connection"));
    });
    send();
  });
}

/** Bytes of the answer that are still to come after its first chunk, which holds all of the head. */
function bytesLeft(chunk: Buffer): number {
  const headEnd = chunk.indexOf("\r\n\r\n");
  const head = chunk.toString("latin1", 0, headEnd);
  if (!head.startsWith("HTTP/1.1 200")) return NaN;
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
  return headEnd + 4 + length - chunk.length;
}
