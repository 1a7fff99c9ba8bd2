/** Asks a registry whether credentials work, and what may be pulled with them. */
import type { Credential } from "../core/credential.ts";
import type { ImageReference } from "../core/image-reference.ts";
import {
  formatStatus,
  isLocal,
  isPlainHttpFailure,
  isRefusal,
  isSuccess,
  RegistryError,
  sendWithin,
  type Answer,
  type Restrictions,
  type Send,
} from "./request.ts";
import { answerChallenge, type FinalAnswer, type Flow } from "./token.ts";

/** What is asked of one registry. */
export interface LoginQuestion {
  /** Host and port as images are written with, without `*`. */
  readonly authority: string;
  readonly credential: Credential;
  /** Images of this registry. */
  readonly images: readonly ImageReference[];
}

/** Why a question has no good answer; `reason` never holds a credential. */
export type Failure = { readonly kind: RegistryError["kind"]; readonly reason: string };

/** Whether the certificate, or another part of TLS, is why a registry was not reached; the reason then begins so. */
export function isTlsFailure({ kind, reason }: Failure): boolean {
  return kind === "not-reached" && reason.startsWith("TLS: ");
}

export type LoginOutcome =
  { readonly kind: "works"; readonly flow: Flow } | { readonly kind: "asks-for-none" } | Failure;

export type PullOutcome =
  | { readonly kind: "allowed" }
  /** The registry has no such tag or digest, or no such repository. */
  | { readonly kind: "not-there" }
  | Failure;

export interface LoginReport {
  readonly login: LoginOutcome;
  /** One for each image; none if the login failed. */
  readonly pulls: readonly { readonly image: ImageReference; readonly outcome: PullOutcome }[];
}

/** Docker Hub and the large clouds answer in well under a second. */
const TIMEOUT_MS = 10_000;

/** Asks without pulling anything. A failure on the way is part of the report and not a rejection. */
export async function checkLogin(
  question: LoginQuestion,
  timeoutMs = TIMEOUT_MS,
  restrictions?: Restrictions,
): Promise<LoginReport> {
  const send = sendWithin(timeoutMs, restrictions);
  const { authority, credential, images } = question;
  try {
    const { url, answer } = await findEndpoint(authority, send);
    const request = { method: "GET", url, answer } as const;
    const login = loginOutcome(await answerChallenge(request, credential, undefined, send), url.host);
    const pulls = [];
    for (const image of images) {
      pulls.push({ image, outcome: await askToPull(image, url, credential, send) });
    }
    return { login, pulls };
  } catch (error) {
    return { login: failureOf(error), pulls: [] };
  }
}

interface Endpoint {
  /** `https://HOST/v2/`, or `http://` for this machine. */
  readonly url: URL;
  /** The answer to a GET of it without credentials. */
  readonly answer: Answer;
}

/** Images of Docker Hub are written with a host that has no API. */
const HUB = "docker.io";
const HUB_API = "registry-1.docker.io";

/**
 * Finds where a registry's API is. Plain HTTP is tried only on this machine, and only after what answers there turned out
 * not to speak TLS.
 *
 * @throws RegistryError as {@link Send} does.
 */
export async function findEndpoint(authority: string, send: Send): Promise<Endpoint> {
  const url = apiUrl("https", authority);
  try {
    return { url, answer: await send("GET", url) };
  } catch (error) {
    if (!(error instanceof RegistryError) || !isPlainHttpFailure(error.cause) || !isLocal(url)) throw error;
    const plainUrl = apiUrl("http", authority);
    return { url: plainUrl, answer: await send("GET", plainUrl) };
  }
}

function apiUrl(scheme: string, authority: string): URL {
  const text = `${scheme}://${authority === HUB ? HUB_API : authority}/v2/`;
  if (URL.canParse(text)) return new URL(text);
  // Images can be written with host:99999, and nothing can be at it.
  throw new RegistryError("unusable-answer", `${authority} is not a host that can be asked`);
}

/** @throws RegistryError */
function loginOutcome({ status, flow }: FinalAnswer, host: string): LoginOutcome {
  if (isSuccess(status)) return flow === undefined ? { kind: "asks-for-none" } : { kind: "works", flow };
  if (flow !== undefined && isRefusal(status)) throw refusedBy(host, status);
  throw new RegistryError("unusable-answer", `${host} answers ${formatStatus(status)} to GET /v2/`);
}

/**
 * Asks for the head of a manifest, with which every pull begins. A list of tags would tell less, because some registries
 * (ECR) keep it from those who may pull; so would a token, because those who may do nothing get one, too.
 *
 * status   | the credentials
 * 2xx      | may pull
 * 404      | may look, and nothing is there
 * 401, 403 | may not
 * other    | unknown
 */
async function askToPull(
  image: ImageReference,
  apiUrl: URL,
  credential: Credential,
  send: Send,
): Promise<PullOutcome> {
  const url = new URL(`${image.path}/manifests/${image.digest ?? image.tag ?? "latest"}`, apiUrl);
  try {
    const answer = await send("HEAD", url);
    const scope = `repository:${image.path}:pull`;
    const { status } = await answerChallenge({ method: "HEAD", url, answer }, credential, scope, send);
    if (isSuccess(status)) return { kind: "allowed" };
    if (status === 404) return { kind: "not-there" };
    if (isRefusal(status)) throw refusedBy(url.host, status);
    throw new RegistryError("unusable-answer", `${url.host} answers ${formatStatus(status)}`);
  } catch (error) {
    return failureOf(error);
  }
}

function refusedBy(host: string, status: number): RegistryError {
  return new RegistryError("refused", `${formatStatus(status)} from ${host}`);
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof RegistryError)) throw error;
  return { kind: error.kind, reason: error.message };
}
