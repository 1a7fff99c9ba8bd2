/** One request, with an end to how long it takes, how much comes back and where it leads. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { NotReachedError, UnusableAnswerError } from "./errors.ts";
import { describeFailure, isPlainHttpFailure } from "./failure.ts";

export interface Answer {
  readonly status: number;
  /** The header `WWW-Authenticate`; several are joined with commas. */
  readonly authenticate: string | undefined;
  readonly body: string;
}

/**
 * Sends a request with an `Authorization` header or without one.
 *
 * @throws NotReachedError if no answer came.
 * @throws UnusableAnswerError if the answer is too long or leads to another host.
 */
export type Send = (method: "GET" | "HEAD", url: URL, authorization?: string) => Promise<Answer>;

/** A token is a few KiB, one that lists a hundred repositories some ten; nothing else in an answer is read. */
const MAX_BODY_BYTES = 256 * 1024;
/** A missing slash and a change of path come to two; more is a circle. */
const MAX_REDIRECTS = 3;

/** What a container runtime takes for a manifest; without it a registry may say that an image is not there. */
const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "*/*",
].join(", ");

/** `timeoutMs` is for each request, from the connection to the last byte. */
export function sendWithin(timeoutMs: number): Send {
  return async (method, url, authorization) => {
    let current = url;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const { location, ...answer } = await sendOnce(method, current, authorization, timeoutMs);
      if (location === undefined) return answer;
      current = followed(location, current);
    }
    throw new UnusableAnswerError(`${url.host} answers with one redirect after the other`);
  };
}

/** Where a redirect leads, which has to be the same scheme, host and port: the credentials go with the request. */
function followed(location: string, from: URL): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (target?.origin !== from.origin) {
    throw new UnusableAnswerError(`${from.host} redirects to another host, where credentials do not follow`);
  }
  return target;
}

interface SingleAnswer extends Answer {
  /** Where a redirect leads. */
  readonly location: string | undefined;
}

function sendOnce(
  method: "GET" | "HEAD",
  url: URL,
  authorization: string | undefined,
  timeoutMs: number,
): Promise<SingleAnswer> {
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = {
    accept: method === "HEAD" ? MANIFEST_TYPES : "application/json, */*",
    "user-agent": "pullpass",
    ...(authorization !== undefined && { authorization }),
  };
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      const reason = signal.aborted
        ? `no answer from ${url.host} within ${(timeoutMs / 1000).toString()} s`
        : describeFailure(error);
      reject(new NotReachedError(reason, isPlainHttpFailure(error), { cause: error }));
    };
    const request = send(url, { method, headers, signal }, (response) => {
      readBody(response).then((body) => {
        if (body === undefined) {
          const limit = (MAX_BODY_BYTES / 1024).toString();
          reject(new UnusableAnswerError(`${url.host} answers with more than ${limit} KiB`));
        } else {
          resolve({ ...headOf(response), body });
        }
      }, fail);
    });
    request.on("error", fail).end();
  });
}

function headOf({ statusCode = 0, headers }: IncomingMessage): Omit<SingleAnswer, "body"> {
  const isRedirect = [301, 302, 303, 307, 308].includes(statusCode);
  const location = isRedirect ? (headers.location ?? "") : undefined;
  return { status: statusCode, authenticate: headers["www-authenticate"], location };
}

/** The text of an answer; undefined if it is longer than it may be, and then the connection is closed. */
async function readBody(response: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
