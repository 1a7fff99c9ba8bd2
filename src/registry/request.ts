/** One HTTP request, with an end to how long it takes, how much comes back and where it leads. */
import { lookup } from "node:dns";
import { request as httpRequest, STATUS_CODES, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";

/**
 * Why there is no good answer. The message is printed, so of an answer to credentials it holds nothing but the status: a
 * server might repeat what it was sent.
 *
 * refused         | the credentials were sent and not accepted
 * not-reached     | no answer came: the network, TLS, or the time ran out
 * unusable-answer | the answer says nothing about the credentials, or they were not sent because of it
 */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly kind: "refused" | "not-reached" | "unusable-answer";

  constructor(kind: RegistryError["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export interface Answer {
  readonly status: number;
  /** The header `WWW-Authenticate`; several are joined with commas. */
  readonly authenticate: string | undefined;
  readonly body: string;
}

/**
 * Sends a request with an `Authorization` header or without one.
 *
 * @throws RegistryError `not-reached` if no answer came, `unusable-answer` if it is too long or leads to another host.
 */
export type Send = (method: "GET" | "HEAD", url: URL, authorization?: string) => Promise<Answer>;

/** A token is a few KiB, one that lists a hundred repositories some ten; nothing else in an answer is read. */
const MAX_BODY_BYTES = 256 * 1024;
/** A missing slash and a change of path come to two; more is a circle. */
const MAX_REDIRECTS = 3;

/** What a container runtime accepts as a manifest; without it a registry may say that an image does not exist. */
const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "*/*",
].join(", ");

/** For requests on behalf of somebody who must not reach everything that this process can. */
export interface Restrictions {
  /** Why an IP address is not connected to, as a predicate; undefined if it may be. */
  readonly refusalOf: (address: string) => string | undefined;
}

/**
 * `timeoutMs` is for each request, from the connection to the last byte. With restrictions: https alone, no redirects, no proxy, and
 * the address that was looked at is the one that is connected to.
 */
export function sendWithin(timeoutMs: number, restrictions?: Restrictions): Send {
  return async (method, url, authorization) => {
    let current = url;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const request = { method, url: current, authorization, restrictions };
      const { location, ...answer } = await sendOnce(request, timeoutMs);
      if (location === undefined) return answer;
      if (restrictions !== undefined)
        throw new RegistryError("unusable-answer", `${url.host} redirects, and redirects are not followed`);
      current = followed(location, current);
    }
    throw new RegistryError("unusable-answer", `${url.host} answers with one redirect after the other`);
  };
}

/** The target of a redirect. It must have the same scheme, host and port, because the credentials go with the request. */
function followed(location: string, from: URL): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (target?.origin === from.origin) return target;
  const reason = `${from.host} redirects to another host, where credentials do not follow`;
  throw new RegistryError("unusable-answer", reason);
}

/** `location` is the target of a redirect. */
type SingleAnswer = Answer & { readonly location: string | undefined };

interface SingleRequest {
  readonly method: "GET" | "HEAD";
  readonly url: URL;
  readonly authorization: string | undefined;
  readonly restrictions: Restrictions | undefined;
}

/** Looks up a name, and refuses it if one of its addresses is refused. */
function restrictedLookup({ refusalOf }: Restrictions): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, "");
        return;
      }
      const refusal = addresses.map(({ address }) => refusalOf(address)).find((each) => each !== undefined);
      const [first] = addresses;
      if (refusal !== undefined || first === undefined)
        callback(refused(hostname, refusal ?? "has no address"), "");
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function refused(hostname: string, why: string): RegistryError {
  return new RegistryError("not-reached", `${hostname} ${why}`);
}

function restrict(
  { url }: SingleRequest,
  restrictions: Restrictions,
): { lookup: LookupFunction; agent: false } {
  if (url.protocol !== "https:")
    throw new RegistryError("unusable-answer", `${url.host} is not asked over https`);
  // What is an address is not looked up.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const refusal = isIP(host) === 0 ? undefined : restrictions.refusalOf(host);
  if (refusal !== undefined) throw refused(url.hostname, refusal);
  // Without an agent of Node's own, which might know a proxy.
  return { lookup: restrictedLookup(restrictions), agent: false };
}

async function sendOnce(request: SingleRequest, timeoutMs: number): Promise<SingleAnswer> {
  const { method, url, authorization, restrictions } = request;
  const restricted = restrictions === undefined ? {} : restrict(request, restrictions);
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = {
    accept: method === "HEAD" ? MANIFEST_TYPES : "application/json, */*",
    "user-agent": "pullpass",
    ...(authorization !== undefined && { authorization }),
  };
  return await new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      if (cause instanceof RegistryError) {
        reject(cause);
        return;
      }
      const reason = signal.aborted
        ? `no answer from ${url.host} within ${(timeoutMs / 1000).toString()} s`
        : describeFailure(cause);
      reject(new RegistryError("not-reached", reason, { cause }));
    };
    const sent = send(url, { method, headers, signal, ...restricted }, (response) => {
      readAnswer(response, url).then(resolve, fail);
    });
    // Without a listener Node closes the connection and says nothing, not even when the time is over.
    sent.on("upgrade", ({ statusCode = 0 }, socket) => {
      socket.destroy();
      fail(new RegistryError("unusable-answer", `${url.host} answers ${formatStatus(statusCode)}`));
    });
    sent.on("error", fail).end();
  });
}

async function readAnswer(response: IncomingMessage, url: URL): Promise<SingleAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) {
      const limit = (MAX_BODY_BYTES / 1024).toString();
      throw new RegistryError("unusable-answer", `${url.host} answers with more than ${limit} KiB`);
    }
    chunks.push(chunk);
  }
  const { statusCode: status = 0, headers } = response;
  const isRedirect = [301, 302, 303, 307, 308].includes(status);
  return {
    status,
    authenticate: headers["www-authenticate"],
    body: Buffer.concat(chunks).toString("utf8"),
    location: isRedirect ? (headers.location ?? "") : undefined,
  };
}

/** `401 Unauthorized`, in Node's words and not in the server's. */
export function formatStatus(status: number): string {
  return `${status.toString()} ${STATUS_CODES[status] ?? ""}`.trimEnd();
}

/** Whether a status says that these credentials are wrong, or lack the right. */
export function isRefusal(status: number): boolean {
  return status === 401 || status === 403;
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** The names of this machine for which docker and containerd try plain HTTP. */
const LOCAL_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Whether a URL's host is this machine, by name and without asking a resolver. */
export function isLocal(url: URL): boolean {
  return LOCAL_HOSTS.has(url.hostname);
}

/** OpenSSL's codes for a chain that ends at an authority that Node does not trust. */
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Long enough for the longest of Node's own; a certificate may list any number of names. */
const MAX_LENGTH = 200;

/** Says in one line why a connection failed. */
export function describeFailure(error: unknown): string {
  // For a name with several addresses Node tries each, and says nothing itself.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map(describeFailure).join(", ");
  }
  if (!(error instanceof Error)) return onOneLine(String(error));
  const code = memberOf(error, "code");
  if (isPlainHttpFailure(error)) return "TLS: what answers does not speak it";
  if (isTlsCode(code)) return onOneLine(`TLS: ${memberOf(error, "reason") || code}`);
  if (UNKNOWN_AUTHORITY.has(code)) {
    // Newer Node adds advice of its own after a semicolon.
    const [message = ""] = error.message.split(";");
    return onOneLine(`TLS: ${message}; NODE_EXTRA_CA_CERTS names a file of authorities to trust`);
  }
  const isAboutCertificate = code.startsWith("CERT_") || code.startsWith("ERR_TLS_");
  return onOneLine(isAboutCertificate ? `TLS: ${error.message}` : error.message);
}

/**
 * Whether a TLS handshake was answered in plain text, as an HTTP server does. OpenSSL reads the first bytes of the
 * answer as the version of a record.
 */
export function isPlainHttpFailure(error: unknown): boolean {
  if (!(error instanceof Error) || !isTlsCode(memberOf(error, "code"))) return false;
  return /wrong version number|packet length too long/.test(memberOf(error, "reason") || error.message);
}

function isTlsCode(code: string): boolean {
  return code === "EPROTO" || code.startsWith("ERR_SSL_");
}

/** OpenSSL's errors have members of their own. */
function memberOf(error: Error, member: "code" | "reason"): string {
  const value: unknown = Reflect.get(error, member);
  return typeof value === "string" ? value : "";
}

/** A certificate's names are the server's words: they must not control a terminal. */
function onOneLine(text: string): string {
  const printable = text.replaceAll(/[^\x20-\x7e]+/g, " ").trim();
  return printable.length > MAX_LENGTH ? `${printable.slice(0, MAX_LENGTH)}...` : printable;
}
