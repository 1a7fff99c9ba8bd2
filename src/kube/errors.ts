/** Errors of requests to the API server. Each of them can be logged: none quotes a Secret. */
import { asArray, getString, isObject, type JsonObject } from "../core/kubernetes.ts";
import { parseJson } from "../core/parse-json.ts";

/** The API server refused the request. */
export class KubeApiError extends Error {
  override readonly name = "KubeApiError";

  /** The HTTP status. */
  readonly status: number;
  /** The reason in the answer's Status, such as `AlreadyExists`; empty if there is none. */
  readonly reason: string;
  /** The answer's Status, without what may quote a Secret; empty members where there was no Status. */
  readonly body: JsonObject;

  constructor(status: number, reason: string, body: JsonObject, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.body = body;
  }
}

/** There was no answer: the connection failed, broke off or took too long. */
export class KubeUnreachableError extends Error {
  override readonly name = "KubeUnreachableError";
}

/** `mayBeSent` said no: the API server never saw the request. */
export class KubeNotSentError extends Error {
  override readonly name = "KubeNotSentError";
}

export function isNotFound(error: unknown): error is KubeApiError {
  return hasStatus(error, 404);
}

/** Undefined if what was asked for is not there. */
export async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** The object is there already, was changed by somebody else, or is not the one that a precondition names. */
export function isConflict(error: unknown): error is KubeApiError {
  return hasStatus(error, 409);
}

export function hasStatus(error: unknown, status: number): error is KubeApiError {
  return error instanceof KubeApiError && error.status === status;
}

/** The causes in the answer's Status: `{reason, message, field}`. */
export function causesOf({ body }: KubeApiError): readonly unknown[] {
  return isObject(body["details"]) ? asArray(body["details"]["causes"]) : [];
}

export function hasCause(error: KubeApiError, key: "reason" | "field", value: string): boolean {
  return causesOf(error).some((cause) => getString(cause, key) === value);
}

/** Texts that are made of names: whose they are and what is not allowed, not found, in conflict or too much. */
const STATUSES_THAT_QUOTE_NOTHING: ReadonlySet<number> = new Set([401, 403, 404, 405, 409, 410, 429, 503]);

/**
 * What other people's code says about an object begins like this, whatever its status. Who spoke is worth knowing; what
 * follows may quote anything.
 */
const WORDS_OF_OTHERS =
  /(?:admission webhook "[\w.-]+" denied the request|failed calling webhook "[\w.-]+"|ValidatingAdmissionPolicy '[\w.-]+' with binding '[\w.-]+' denied request)/;

/**
 * The error for an answer of status 400 and above.
 *
 * A refusal may quote what was sent: server-side apply shows a value of the wrong type (Kubernetes 1.37, status 500), some
 * decoders the text around a fault, webhooks what they please. So where a body was sent, a message stays only if its
 * status promises that it is made of names, and otherwise the reason and the fields stand for it. `body` holds no more
 * than that either, because loggers print the members of an error. Other people's code sees what a DELETE without a body deletes.
 *
 * @param call such as `GET /api/v1/secrets`
 * @param text the answer's body
 */
export function apiError(call: string, status: number, text: string, wasBodySent: boolean): KubeApiError {
  const answer = parseStatus(text);
  const reason = getString(answer, "reason") ?? "";
  const body = withoutQuotes(answer, status, wasBodySent);
  const message = getString(body, "message") ?? "";
  const words = [status.toString(), reason].filter((word) => word !== "").join(" ");
  return new KubeApiError(status, reason, body, `${call}: ${words}${message === "" ? "" : `: ${message}`}`);
}

/** The error that an ERROR event of a watch holds. */
export function watchError(call: string, status: JsonObject): KubeApiError {
  const code = typeof status["code"] === "number" ? status["code"] : 500;
  return apiError(call, code, JSON.stringify(status), false);
}

/** Proxies on the way, and the API server before it is ready, answer with other things than a Status. */
function parseStatus(text: string): JsonObject {
  const answer = parseJson(text);
  return isObject(answer) && answer["kind"] === "Status" ? answer : {};
}

function withoutQuotes(answer: JsonObject, status: number, wasBodySent: boolean): JsonObject {
  const details = isObject(answer["details"]) ? answer["details"] : {};
  const causes = asArray(details["causes"]).map((cause) => ({
    reason: getString(cause, "reason") ?? "",
    field: getString(cause, "field") ?? "",
  }));
  const message = getString(answer, "message") ?? "";
  const others = WORDS_OF_OTHERS.exec(message);
  const isSafe = others === null && (!wasBodySent || STATUSES_THAT_QUOTE_NOTHING.has(status));
  const fields = causes.map(({ field }) => field).filter((field) => field !== "");
  return {
    ...pick(answer, ["kind", "apiVersion", "status", "reason", "code"]),
    message: isSafe ? message : (others?.[0] ?? fields.join(", ")),
    details: {
      ...pick(details, ["name", "group", "kind", "uid", "retryAfterSeconds"]),
      ...(causes.length > 0 && { causes }),
    },
  };
}

function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.flatMap((key) => (key in object ? [[key, object[key]]] : [])));
}
