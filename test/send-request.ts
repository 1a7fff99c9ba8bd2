import { request as httpRequest } from "node:http";
import { request as httpsRequest, type Agent } from "node:https";

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** PEM; without it only servers that the machine trusts are. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Default: none, and a connection of its own. */
  readonly agent?: Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
  /** Of the client; it tells connections apart. */
  readonly localPort: number | undefined;
}

/**
 * Sends one request and reads the whole answer. Node's own `fetch` takes neither a CA nor a client certificate.
 */
export function sendRequest(url: string, options: RequestOptions = {}): Promise<Answer> {
  const { method = "GET", headers, body, ca, cert, key, agent = false } = options;
  const send = url.startsWith("https:") ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      {
        method,
        headers: { ...headers },
        agent,
        timeout: 10_000,
        ...(ca === undefined ? {} : { ca, cert, key }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        const { localPort } = response.socket;
        response
          .on("data", (chunk: Buffer) => chunks.push(chunk))
          .once("error", reject)
          .once("end", () => {
            const text = Buffer.concat(chunks).toString("utf8");
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, localPort });
          });
      },
    );
    request.once("error", reject).once("timeout", () => {
      request.destroy(new Error(`${method} ${url} was not answered within 10 s`));
    });
    request.end(body);
  });
}

export interface SentReview {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly agent?: Agent;
}

/** A POST of JSON to /mutate, as the API server sends it, unless `sent` says otherwise. */
export function postReview(url: string, ca: string, sent: SentReview): Promise<Answer> {
  const { method = "POST", path = "/mutate?timeout=10s", body = "", agent } = sent;
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body).toString(),
    ...sent.headers,
  };
  return sendRequest(new URL(path, url).href, { method, headers, body, ca, ...(agent && { agent }) });
}
