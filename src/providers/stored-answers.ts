/** What providers handed out last, as a Secret keeps it, so that a restart or a new leader runs no program. */
import type { ProviderRequest } from "../core/credential-provider.ts";
import { readCredentialText, readUsername, type Credential } from "../core/credential.ts";
import { isObject } from "../core/kubernetes.ts";
import { parseJson } from "../core/parse-json.ts";
import { expiryOf } from "../core/pull-secret.ts";
import type { Answered } from "./schedule.ts";

/** Times are Unix times in milliseconds. */
export interface StoredAnswer extends Answered {
  /** The name of the provider. */
  readonly provider: string;
  readonly image: string;
  /** A digest of the provider's entry: an answer to another one is asked for again. */
  readonly settings: string;
  readonly credential: Credential;
  /** When the provider first handed it out. */
  readonly changedAt: number;
  /** What it handed out before. */
  readonly previous: Credential | undefined;
}

/** By {@link keyOf}. */
export type StoredAnswers = ReadonlyMap<string, StoredAnswer>;

export function keyOf(provider: string, { image }: Pick<ProviderRequest, "image">): string {
  // Neither contains a space.
  return `${provider} ${image}`;
}

/** The answer that takes the place of another one. Only another credential is a change. */
export function succeed(
  before: StoredAnswer | undefined,
  answer: Omit<StoredAnswer, "changedAt" | "previous" | "expiresAt">,
): StoredAnswer {
  const { credential, answeredAt } = answer;
  const expiresAt = expiryOf(credential.password);
  if (before === undefined) return { ...answer, expiresAt, changedAt: answeredAt, previous: undefined };
  if (isSame(before.credential, credential)) {
    return { ...answer, expiresAt, changedAt: before.changedAt, previous: before.previous };
  }
  return { ...answer, expiresAt, changedAt: answeredAt, previous: before.credential };
}

function isSame(a: Credential, b: Credential): boolean {
  return a.username === b.username && a.password === b.password;
}

export function writeAnswers(answers: StoredAnswers): string {
  return JSON.stringify([...answers.values()].toSorted((a, b) => (order(a) < order(b) ? -1 : 1)));
}

function order({ provider, image }: StoredAnswer): string {
  return keyOf(provider, { image });
}

/** Whatever is not as it was written is left out, and asked for again. */
export function readAnswers(text: string): StoredAnswers {
  const list = parseJson(text);
  const answers = Array.isArray(list) ? list.flatMap((entry) => readStored(entry) ?? []) : [];
  return new Map(answers.map((answer) => [order(answer), answer]));
}

function readStored(entry: unknown): StoredAnswer | undefined {
  if (!isObject(entry)) return undefined;
  const { provider, image, settings, cacheDurationMs, answeredAt, changedAt, jitter } = entry;
  const credential = readStoredCredential(entry["credential"]);
  const isText = typeof provider === "string" && typeof image === "string" && typeof settings === "string";
  const isTimed =
    typeof answeredAt === "number" && typeof changedAt === "number" && typeof jitter === "number";
  if (!isText || !isTimed || credential === undefined) return undefined;
  return {
    ...{ provider, image, settings, credential, answeredAt, changedAt, jitter },
    previous: readStoredCredential(entry["previous"]),
    cacheDurationMs: typeof cacheDurationMs === "number" ? cacheDurationMs : undefined,
    expiresAt: expiryOf(credential.password),
  };
}

function readStoredCredential(value: unknown): Credential | undefined {
  if (!isObject(value)) return undefined;
  const { username, password } = value;
  if (typeof username !== "string" || typeof password !== "string") return undefined;
  const isUsable = readUsername(username).kind === "text" && readCredentialText(password).kind === "text";
  return isUsable ? { username, password } : undefined;
}
