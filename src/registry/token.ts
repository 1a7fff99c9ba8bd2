/**
 * Logs in where a registry asks for it: with the password itself, or with a token that another server issues for it
 * (https://distribution.github.io/distribution/spec/auth/token/).
 */
import type { Credential } from "../core/credential.ts";
import { isObject } from "../core/kubernetes.ts";
import { parseJson } from "../core/parse-json.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import {
  formatStatus,
  isLocal,
  isRefusal,
  isSuccess,
  RegistryError,
  type Answer,
  type Send,
} from "./request.ts";

export type Flow = "basic" | "token";

export interface FinalAnswer {
  readonly status: number;
  /** How the credentials were sent; undefined if the registry did not ask for any. */
  readonly flow: Flow | undefined;
}

/** What a token is for: `repository:team-a/app:pull`; undefined for none, which only proves who one is. */
type Scope = string | undefined;

/**
 * Takes the answer to a request without credentials and, if it is a 401, repeats the request with them. A token comes
 * before a password where both will do, as in containerd.
 *
 * @throws RegistryError if a token server does not accept the credentials, or nothing can be done with the challenge.
 */
export async function answerChallenge(
  { method, url, answer }: { readonly method: "GET" | "HEAD"; readonly url: URL; readonly answer: Answer },
  credential: Credential,
  scope: Scope,
  send: Send,
): Promise<FinalAnswer> {
  if (answer.status !== 401) return { status: answer.status, flow: undefined };
  const challenges = parseChallenges(answer.authenticate ?? "");
  if (challenges === undefined)
    throw unusable(`the WWW-Authenticate of ${url.host} breaks the rules of RFC 9110`);
  const bearer = challenges.find(({ scheme }) => scheme === "bearer");
  if (bearer !== undefined) {
    const token = await fetchToken(bearer, url, credential, scope, send);
    return { status: (await send(method, url, `Bearer ${token}`)).status, flow: "token" };
  }
  if (challenges.some(({ scheme }) => scheme === "basic")) {
    return { status: (await send(method, url, basicAuthorization(credential))).status, flow: "basic" };
  }
  throw unusable(`${url.host} asks neither for Basic nor for Bearer`);
}

/** Header fields are ASCII, and a token is one word. */
const TOKEN = /^[\x21-\x7e]+$/;

/**
 * A token of the server that a registry's challenge names. The scope is ours and not the challenge's: ghcr.io names a
 * repository that nobody has in that of `/v2/`, and `docker login` ignores it as well.
 *
 * @throws RegistryError if the token server does not accept the credentials, must not have them, or issues no token.
 */
async function fetchToken(
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
  const server = `the token server ${url.host}`;
  if (isRefusal(status)) throw new RegistryError("refused", `${formatStatus(status)} from ${server}`);
  if (!isSuccess(status)) throw unusable(`${server} answers ${formatStatus(status)}`);
  const token = tokenIn(body);
  if (token === undefined) throw unusable(`${server} answers without a token`);
  return token;
}

/** `Authorization` of RFC 7617, in UTF-8. */
function basicAuthorization({ username, password }: Credential): string {
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
  if (realm === undefined || !URL.canParse(realm))
    throw unusable(`${registryUrl.host} names no token server`);
  const url = new URL(realm);
  const isLocalHttp = url.protocol === "http:" && registryUrl.protocol === "http:" && isLocal(url);
  if (url.protocol !== "https:" && !isLocalHttp) {
    throw unusable(
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
  if (!isObject(answer)) return undefined;
  return [answer["access_token"], answer["token"]].find(
    (value): value is string => typeof value === "string" && TOKEN.test(value),
  );
}

function unusable(message: string): RegistryError {
  return new RegistryError("unusable-answer", message);
}
