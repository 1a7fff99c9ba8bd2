/** What a request fails with, and the message that a person sees. */
import { KubeApiError, KubeUnreachableError } from "../kube/errors.ts";
import type { Failure, Problem } from "./api.ts";

export class ConsoleError extends Error {
  override readonly name = "ConsoleError";
  readonly status: number;
  readonly code: Failure["code"];
  readonly problems: readonly Problem[] | undefined;

  constructor(status: number, code: Failure["code"], message: string, problems?: readonly Problem[]) {
    super(message);
    this.status = status;
    this.code = code;
    this.problems = problems;
  }
}

/*
 * failure                            | status | code
 * ConsoleError                       | its own
 * the API server refused the token   | 401    | no-session
 *                        a right     | 403    | forbidden: its message names the right
 *                        with 404    | 404    | not-found
 *                        with 409    | 409    | conflict
 *                        otherwise   | 502    | unreachable
 * the API server did not answer      | 502    | unreachable
 * anything else                      | 500    | internal, without a word about why: it goes to standard error
 */
export function failureOf(error: unknown): { readonly status: number; readonly failure: Failure } {
  const as = (status: number, code: Failure["code"], message: string) => ({
    status,
    failure: { code, message },
  });
  if (error instanceof ConsoleError) {
    const { status, code, message, problems } = error;
    return { status, failure: { code, message, ...(problems && { problems }) } };
  }
  if (error instanceof KubeApiError) {
    const { message } = error;
    if (error.status === 401)
      return as(401, "no-session", "the API server does not accept this login any more");
    if (error.status === 403) return as(403, "forbidden", message);
    if (error.status === 404) return as(404, "not-found", message);
    if (error.status === 409) return as(409, "conflict", message);
    return as(502, "unreachable", message);
  }
  if (error instanceof KubeUnreachableError) return as(502, "unreachable", error.message);
  return as(500, "internal", "the console failed; its log says why");
}
