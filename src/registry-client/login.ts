/** Asks a registry whether credentials work, and what may be pulled with them. */
import type { Credential } from "../core/credential.ts";
import type { ImageReference } from "../core/image-reference.ts";
import { answerChallenge, type Flow } from "./answer-challenge.ts";
import { findEndpoint } from "./endpoint.ts";
import {
  formatStatus,
  isRefusal,
  isSuccess,
  NotReachedError,
  RefusedError,
  UnusableAnswerError,
} from "./errors.ts";
import { sendWithin, type Send } from "./request.ts";

/** What is asked of one registry. */
export interface LoginQuestion {
  /** Host and port as images are written with, without `*`. */
  readonly authority: string;
  readonly credential: Credential;
  /** Images of this registry. */
  readonly images: readonly ImageReference[];
}

/** Why a question has no good answer; `reason` never holds a credential. */
export type Failure = {
  readonly kind: "refused" | "not-reached" | "unusable-answer";
  readonly reason: string;
};

export type LoginOutcome =
  { readonly kind: "works"; readonly flow: Flow } | { readonly kind: "asks-for-none" } | Failure;

export type PullOutcome =
  | { readonly kind: "allowed" }
  /** The registry looked, and has no such tag or digest, or no such repository. */
  | { readonly kind: "not-there" }
  | Failure;

export interface LoginReport {
  readonly login: LoginOutcome;
  /** One for each image; none if the login failed. */
  readonly pulls: readonly { readonly image: ImageReference; readonly outcome: PullOutcome }[];
}

/** Docker Hub and the large clouds answer in well under a second. */
const TIMEOUT_MS = 10_000;

/** Asks without pulling anything. What goes wrong on the way is part of the report and no rejection. */
export async function checkLogin(question: LoginQuestion, timeoutMs = TIMEOUT_MS): Promise<LoginReport> {
  const send = sendWithin(timeoutMs);
  const { authority, credential, images } = question;
  try {
    const { url, answer } = await findEndpoint(authority, send);
    const { status, flow } = await answerChallenge(
      { method: "GET", url, answer },
      credential,
      undefined,
      send,
    );
    const login = loginOutcome(status, flow, url.host);
    const pulls = [];
    for (const image of images) {
      pulls.push({ image, outcome: await askToPull(image, url, credential, send) });
    }
    return { login, pulls };
  } catch (error) {
    return { login: failureOf(error), pulls: [] };
  }
}

/** @throws RefusedError, UnusableAnswerError */
function loginOutcome(status: number, flow: Flow | undefined, host: string): LoginOutcome {
  if (isSuccess(status)) return flow === undefined ? { kind: "asks-for-none" } : { kind: "works", flow };
  if (flow !== undefined && isRefusal(status)) throw new RefusedError(status, host);
  throw new UnusableAnswerError(`${host} answers ${formatStatus(status)} to GET /v2/`);
}

/**
 * Asks for the head of a manifest, with which every pull begins, so that it tells more than a list of tags, which some
 * registries (ECR) keep from those who may pull. A token alone tells nothing: who may do nothing gets one, too.
 *
 * status   | the credentials
 * 2xx      | may pull
 * 404      | may look, and nothing is there
 * 401, 403 | may not
 * other    | nobody knows
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
    if (isRefusal(status)) throw new RefusedError(status, url.host);
    throw new UnusableAnswerError(`${url.host} answers ${formatStatus(status)}`);
  } catch (error) {
    return failureOf(error);
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof RefusedError) return { kind: "refused", reason: error.message };
  if (error instanceof NotReachedError) return { kind: "not-reached", reason: error.message };
  if (error instanceof UnusableAnswerError) return { kind: "unusable-answer", reason: error.message };
  throw error;
}
