/** Which requests are looked at at all: the rules against other sites, other names of this host, and secrets in addresses. */
import type { IncomingHttpHeaders } from "node:http";

export interface GuardedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Refusal {
  readonly status: 400 | 403 | 415 | 421;
  readonly message: string;
}

/*
 * The first row that holds decides.
 *
 * Host      | path     | method      | Sec-Fetch-Site          | Origin          | content type | answer
 * not ours  |          |             |                         |                 |              | 421: DNS rebinding
 * ours      | /api/... | any         | given, not same-origin  |                 |              | 403: another site, or an address typed in
 * ours      | /api/... | not GET     | absent                  |                 |              | 403: a browser that says nothing, or no browser
 * ours      | /api/... | not GET     | same-origin             | not this host's |              | 403
 * ours      | /api/... | not GET     | same-origin             | ours, or absent | not JSON     | 415: a form can send it
 * ours      | /api/... |             |                         |                 |              | looked at
 * ours      | others   | GET or HEAD |                         |                 |              | looked at: pages hold nothing about the cluster
 *
 * Addresses end up in histories and logs, so that a query is refused unless its route has it; that is up to the routes.
 */
export function refusalOf(
  request: GuardedRequest,
  isOurHost: (host: string) => boolean,
): Refusal | undefined {
  const { method, path, headers } = request;
  const { host = "", origin } = headers;
  if (!isOurHost(host))
    return { status: 421, message: "this is not a name of the console; --allowed-host adds one" };
  if (!path.startsWith("/api/")) return undefined;
  const isRead = method === "GET" || method === "HEAD";
  const site = headers["sec-fetch-site"];
  if (site === undefined ? !isRead : site !== "same-origin")
    return { status: 403, message: "only the console's own pages may ask for this" };
  if (isRead) return undefined;
  if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host))
    return { status: 403, message: "only the console's own pages may ask for this" };
  const type = headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/json" || headers["content-encoding"] !== undefined)
    return { status: 415, message: "the content type has to be application/json" };
  return undefined;
}

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Names of this machine, by which a port-forward is reached at any port, and those that were given. */
export function hostCheck(allowed: readonly string[]): (host: string) => boolean {
  const names = new Set([...LOOPBACK, ...allowed].map((name) => name.toLowerCase()));
  return (host) => {
    const name = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/i.exec(host)?.[1];
    return name !== undefined && names.has(name.toLowerCase());
  };
}

/** What every answer carries. The pages have no code or style of their own in them, and load nothing from elsewhere. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
  ].join("; "),
  "cache-control": "no-store",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** Browsers send a cookie to every port of a host, so that two consoles on one machine need two names. */
export function sessionCookieName(isSecure: boolean, port: number): string {
  return isSecure ? "__Host-pullpass-console" : `pullpass-console-${port.toString()}`;
}

export function readCookie(header: string | undefined, name: string): string {
  const found = header?.split(";").map((part) => part.trim());
  return found?.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}

/** An empty value takes the cookie away. */
export function sessionCookie(name: string, value: string, isSecure: boolean, maxAgeSeconds: number): string {
  const parts = [`${name}=${value}`, "Path=/", "HttpOnly", "SameSite=Strict"];
  return [...parts, `Max-Age=${maxAgeSeconds.toString()}`, ...(isSecure ? ["Secure"] : [])].join("; ");
}
