/** Reads a request's body as a whole, up to a limit. */
import type { IncomingMessage } from "node:http";
import { HttpError } from "./http-error.ts";

/**
 * Hands the body to `onBody` as text, or to `onFault` an HttpError: 413 as soon as the body is known to be longer than
 * `maxBytes`, without waiting for the rest; 400 if it breaks off. Callbacks, because this is done for every review and a
 * promise costs as much as the decision.
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  onBody: (body: string) => void,
  onFault: (error: HttpError) => void,
): void {
  const chunks: Buffer[] = [];
  let length = Number(request.headers["content-length"] ?? 0);
  let hasFault = false;
  const fail = (status: number, message: string): void => {
    if (hasFault) return;
    hasFault = true;
    onFault(new HttpError(status, message));
  };
  if (length > maxBytes) {
    fail(413, `the body is larger than ${maxBytes.toString()} bytes`);
    return;
  }
  length = 0;
  request.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= maxBytes) chunks.push(chunk);
    else fail(413, `the body is larger than ${maxBytes.toString()} bytes`);
  });
  request.on("end", () => {
    if (!hasFault) onBody(textOf(chunks, length));
  });
  request.on("error", () => {
    fail(400, "the body broke off");
  });
}

function textOf(chunks: readonly Buffer[], length: number): string {
  const [first] = chunks;
  return (chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, length)).toString(
    "utf8",
  );
}
