import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** PEM; without it only servers that the machine trusts are. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/**
 * One request on a connection of its own. Node's own `fetch` takes neither a CA nor a client certificate.
 */
export function sendRequest(url: string, options: RequestOptions = {}): Promise<Answer> {
  const { method = "GET", headers, body, ca, cert, key } = options;
  const send = url.startsWith("https:") ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      {
        method,
        headers: { ...headers },
        agent: false,
        timeout: 10_000,
        ...(ca === undefined ? {} : { ca, cert, key }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response
          .on("data", (chunk: Buffer) => chunks.push(chunk))
          .once("error", reject)
          .once("end", () => {
            const text = Buffer.concat(chunks).toString("utf8");
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
          });
      },
    );
    request.once("error", reject).once("timeout", () => {
      request.destroy(new Error(`${method} ${url} was not answered within 10 s`));
    });
    request.end(body);
  });
}
