/** Sends an answer, also to a request that has not come as a whole. */
import type { ServerResponse } from "node:http";
import { discardBody } from "./discard.ts";

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
