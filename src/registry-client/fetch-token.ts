/** The token flow: https://distribution.github.io/distribution/spec/auth/token/ */
import type { Credential } from "../core/credential.ts";
import type { Challenge } from "./challenge.ts";
import { isLocal } from "./endpoint.ts";
import { formatStatus, isRefusal, isSuccess, RefusedError, UnusableAnswerError } from "./errors.ts";
import type { Send } from "./request.ts";

/** What a token is for: `repository:team-a/app:pull`; undefined for none, which only proves who one is. */
export type Scope = string | undefined;

/** Header fields are ASCII, and a token is one word. */
const TOKEN = /^[\x21-\x7e]+$/;

/**
 * A token of the server that a registry's challenge names. The scope is ours and not the challenge's: ghcr.io names a
 * repository that nobody has in that of `/v2/`, and `docker login` passes over it as well.
 *
 * @throws RefusedError if the token server does not accept the credentials.
 * @throws UnusableAnswerError if it may not have them, or gives no token.
 */
export async function fetchToken(
  { parameters }: Challenge,
  registryUrl: URL,
  credential: Credential,
  scope: Scope,
  send: Send,
): Promise<string> {
  const url = realmUrl(parameters.get("realm"), registryUrl);
  const service = parameters.get("service");
  if (service !== undefined) url.searchParams.set("service", service);
  if (scope !== undefined) url.searchParams.set("scope", scope);
  url.searchParams.set("account", credential.username);

  const { status, body } = await send("GET", url, basicAuthorization(credential));
  if (isRefusal(status)) throw new RefusedError(status, `the token server ${url.host}`);
  if (!isSuccess(status)) {
    throw new UnusableAnswerError(`the token server ${url.host} answers ${formatStatus(status)}`);
  }
  const token = tokenIn(body);
  if (token === undefined)
    throw new UnusableAnswerError(`the token server ${url.host} answers without a token`);
  return token;
}

/** `Authorization` of RFC 7617, in UTF-8. */
export function basicAuthorization({ username, password }: Credential): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/*
 * May the token server have the credentials?
 *
 * realm       | registry | realm's host  |
 * https://    |          |               | yes
 * http://     | http://  | this machine  | yes
 * http://     | http://  | another       | no
 * http://     | https:// |               | no
 * other, none |          |               | no
 */
function realmUrl(realm: string | undefined, registryUrl: URL): URL {
  if (realm === undefined || !URL.canParse(realm)) {
    throw new UnusableAnswerError(`${registryUrl.host} names no token server`);
  }
  const url = new URL(realm);
  const isLocalHttp = url.protocol === "http:" && registryUrl.protocol === "http:" && isLocal(url);
  if (url.protocol !== "https:" && !isLocalHttp) {
    throw new UnusableAnswerError(
      `the token server ${url.host} is not asked over https, so credentials were not sent to it`,
    );
  }
  // A user name in it would be the registry's idea of who we are.
  url.username = "";
  url.password = "";
  return url;
}

/** `access_token` is for OAuth's clients and says the same; containerd prefers it where there are both. */
function tokenIn(body: string): string | undefined {
  const answer = parseJson(body);
  if (typeof answer !== "object" || answer === null) return undefined;
  const values: readonly unknown[] = [Reflect.get(answer, "access_token"), Reflect.get(answer, "token")];
  return values.find((value): value is string => typeof value === "string" && TOKEN.test(value));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message shows a piece of the text.
    return undefined;
  }
}
