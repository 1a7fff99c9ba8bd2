/** Requests to the console's server. */
import type { Draft, DraftCheck, Failure } from "../api.ts";

/** The server refused the request, or did not answer. */
export class RequestFailed extends Error {
  override readonly name = "RequestFailed";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

const sessionEnd = new EventTarget();

/** Calls back whenever a request was refused because nobody is logged in (any more). */
export function onSessionEnd(listener: () => void): void {
  sessionEnd.addEventListener("end", listener);
}

export function reportSessionEnd(): void {
  sessionEnd.dispatchEvent(new Event("end"));
}

/** Of sessions that began on this page. An answer that was asked for before one says nothing about it. */
let sessions = 0;

export function countSession(): void {
  sessions++;
}

/** @throws RequestFailed */
export async function ask<T>(
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  body?: object,
): Promise<T> {
  const before = sessions;
  const answer = await send(method, path, body);
  const text = await answer.text();
  const value = parse(text);
  if (answer.ok) return value as T;
  const failure = asFailure(value) ?? {
    code: "internal",
    message: `the console answered ${answer.status.toString()}`,
  };
  if (failure.code === "no-session" && before === sessions) reportSessionEnd();
  throw new RequestFailed(failure);
}

/** What the server says of a registry that is not saved. @throws RequestFailed */
export function checkDraft(draft: Draft, image = ""): Promise<DraftCheck> {
  return ask("POST", "/api/registries/check", { draft, image });
}

async function send(method: string, path: string, body: object | undefined): Promise<Response> {
  try {
    return await fetch(path, {
      method,
      credentials: "same-origin",
      redirect: "error",
      ...(body !== undefined && {
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    });
  } catch {
    throw new RequestFailed({
      code: "unreachable",
      message: "the console does not answer; what you typed is still here",
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asFailure(value: unknown): Failure | undefined {
  const isFailure = typeof value === "object" && value !== null && "code" in value && "message" in value;
  return isFailure ? (value as Failure) : undefined;
}

export function failureOf(error: unknown): Failure {
  return error instanceof RequestFailed ? error.failure : { code: "internal", message: String(error) };
}
