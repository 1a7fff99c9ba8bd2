/** Finds where a registry's API is. */
import { NotReachedError, UnusableAnswerError } from "./errors.ts";
import type { Answer, Send } from "./request.ts";

export interface Endpoint {
  /** `https://HOST/v2/`, or `http://` for this machine. */
  readonly url: URL;
  /** The answer to a GET of it without credentials. */
  readonly answer: Answer;
}

/** Images of Docker Hub are written with a host that has no API. */
const HUB = "docker.io";
const HUB_API = "registry-1.docker.io";

/** The names of this machine for which docker and containerd try plain HTTP. */
const LOCAL_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Asks a registry who it wants to know us as. Plain HTTP is tried only on this machine, and only after what answers
 * there turned out not to speak TLS.
 *
 * @param authority host and port as images are written with, without `*`
 * @throws NotReachedError and UnusableAnswerError as {@link Send} does.
 */
export async function findEndpoint(authority: string, send: Send): Promise<Endpoint> {
  const url = apiUrl("https", authority);
  try {
    return { url, answer: await send("GET", url) };
  } catch (error) {
    if (!(error instanceof NotReachedError) || !error.isPlainHttp || !isLocal(url)) throw error;
    const plainUrl = apiUrl("http", authority);
    return { url: plainUrl, answer: await send("GET", plainUrl) };
  }
}

function apiUrl(scheme: string, authority: string): URL {
  const text = `${scheme}://${authority === HUB ? HUB_API : authority}/v2/`;
  // An address may be one that images can be written with and that nothing can be at, such as host:99999.
  if (!URL.canParse(text)) throw new UnusableAnswerError(`${authority} is no host that could be asked`);
  return new URL(text);
}

/** Whether a URL's host is this machine, by name and without asking a resolver. */
export function isLocal(url: URL): boolean {
  return LOCAL_HOSTS.has(url.hostname);
}
