/** Sends requests over HTTPS as the API server does. */
import { request, type Agent } from "node:https";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Of the client; it tells connections apart. */
  readonly localPort: number | undefined;
}

export interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly agent?: Agent;
}

/** A POST of JSON to /mutate, as the API server sends it, unless `sent` says otherwise. */
export function sendRequest(url: string, ca: string, sent: Sent): Promise<Answer> {
  const { method = "POST", path = "/mutate?timeout=10s", body = "", agent } = sent;
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body).toString(),
    ...sent.headers,
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(
      new URL(path, url),
      { method, headers, ca, ...(agent && { agent }) },
      (incoming) => {
        const chunks: Buffer[] = [];
        const { localPort } = incoming.socket;
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, localPort });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
