/** Sends answers, also to requests that are still coming in, and discards what nobody reads. */
import type { IncomingMessage, ServerResponse } from "node:http";

/**
 * For how long a client may go on sending after its answer. It stops once it has read that, and API servers do at once; a
 * connection that is closed before would be reset, and the reset can reach the client before the answer.
 */
const LINGER_MS = 2_000;

/**
 * Sends `body`, which is ASCII: Node writes it faster as the Latin-1 that it is, too. If the request is still coming in, what
 * is left of it is passed over, the connection ends, and it ends no sooner than the client can have read the answer.
 */
export function respond(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): void {
  const { req: request } = response;
  if (request.complete) {
    response.writeHead(status, { ...headers, "content-length": body.length }).end(body, "latin1");
    return;
  }
  // The answer is whole by its length; that `response` has not ended only keeps the connection open.
  response.writeHead(status, { ...headers, "content-length": body.length, connection: "close" });
  response.write(body, "latin1");
  const timer = setTimeout(() => response.end(), LINGER_MS);
  request.once("end", () => response.end());
  response.once("close", () => {
    clearTimeout(timer);
  });
  discardBody(request);
}

/**
 * Gives the memory of a part back at once. V8 by itself would wait for 64 MiB of such garbage, as it asks only how many
 * objects there are: 200 MB of a body, passed over, take up 77 MiB, and 11 MiB with this.
 */
export function freePart(part: Buffer): void {
  const { buffer } = part;
  // Not if other parts are in the same memory, which Node 26 does not do.
  const isAlone = buffer instanceof ArrayBuffer && buffer.byteLength === part.byteLength;
  if (isAlone && !buffer.detached) buffer.transfer(0);
}

/** Passes over what is still to come of a request. */
export function discardBody(request: IncomingMessage): void {
  request.on("data", freePart);
}

/** A request that is answered with a status and one line saying why. */
export class HttpError extends Error {
  override readonly name = "HttpError";

  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}
