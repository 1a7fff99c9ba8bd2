/** Asks again with credentials where a registry wants to know who asks. */
import type { Credential } from "../core/credential.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import { UnusableAnswerError } from "./errors.ts";
import { basicAuthorization, fetchToken, type Scope } from "./fetch-token.ts";
import type { Answer, Send } from "./request.ts";

export type Flow = "basic" | "token";

export interface FinalAnswer {
  readonly status: number;
  /** How the credentials were given; undefined if the registry did not ask for any. */
  readonly flow: Flow | undefined;
}

/**
 * Takes the answer to a request without credentials and repeats the request with them if it was a 401. A token comes
 * before a password where both will do, as containerd has it.
 *
 * @throws RefusedError if a token server does not accept the credentials.
 * @throws UnusableAnswerError if nothing can be done with the challenge.
 */
export async function answerChallenge(
  { method, url, answer }: { readonly method: "GET" | "HEAD"; readonly url: URL; readonly answer: Answer },
  credential: Credential,
  scope: Scope,
  send: Send,
): Promise<FinalAnswer> {
  if (answer.status !== 401) return { status: answer.status, flow: undefined };
  const challenges = challengesOf(answer, url);
  const bearer = challenges.find(({ scheme }) => scheme === "bearer");
  if (bearer !== undefined) {
    const token = await fetchToken(bearer, url, credential, scope, send);
    return { status: (await send(method, url, `Bearer ${token}`)).status, flow: "token" };
  }
  if (challenges.some(({ scheme }) => scheme === "basic")) {
    return { status: (await send(method, url, basicAuthorization(credential))).status, flow: "basic" };
  }
  throw new UnusableAnswerError(`${url.host} asks neither for Basic nor for Bearer`);
}

function challengesOf({ authenticate = "" }: Answer, url: URL): readonly Challenge[] {
  const challenges = parseChallenges(authenticate);
  if (challenges === undefined) {
    throw new UnusableAnswerError(`the WWW-Authenticate of ${url.host} breaks the rules of RFC 9110`);
  }
  return challenges;
}
