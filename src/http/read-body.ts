/** Reads a request's body as a whole, up to a limit. */
import type { IncomingMessage } from "node:http";
import { HttpError } from "./http-error.ts";

/**
 * Hands the body to `onBody` as text, or to `onFault` an HttpError: 413 as soon as the body is known to be longer than
 * `maxBytes`, without waiting for the rest. One that breaks off goes to neither: nobody is left to answer to. Callbacks,
 * because this is done for every review and a promise costs as much as the decision.
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  onBody: (body: string) => void,
  onFault: (error: HttpError) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;
  let isTooLarge = false;
  const refuse = (): void => {
    if (isTooLarge) return;
    isTooLarge = true;
    onFault(new HttpError(413, `the body is larger than ${maxBytes.toString()} bytes`));
  };
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) {
    refuse();
    return;
  }
  request.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= maxBytes) chunks.push(chunk);
    else refuse();
  });
  request.on("end", () => {
    if (!isTooLarge) onBody(textOf(chunks, length));
  });
}

function textOf(chunks: readonly Buffer[], length: number): string {
  const [first] = chunks;
  const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, length);
  return body.toString("utf8");
}
