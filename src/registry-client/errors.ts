/**
 * Why a registry gave no answer to go by. The messages are printed, so they hold nothing of an answer to credentials but
 * its status: a server might repeat what it was sent.
 */
import { STATUS_CODES } from "node:http";

/** No answer came: the network, TLS, or the time ran out. */
export class NotReachedError extends Error {
  override readonly name = "NotReachedError";

  readonly reason: string;
  /** Whether something answered that does not speak TLS. */
  readonly isPlainHttp: boolean;

  constructor(reason: string, isPlainHttp: boolean, options?: ErrorOptions) {
    super(reason, options);
    this.reason = reason;
    this.isPlainHttp = isPlainHttp;
  }
}

/** An answer came that says nothing about the credentials, or they were not sent because of it. */
export class UnusableAnswerError extends Error {
  override readonly name = "UnusableAnswerError";
}

/** The credentials were sent and not accepted. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";

  /** 401 or 403. */
  readonly status: number;
  /** What refused them: `the token server auth.example.com`. */
  readonly by: string;

  constructor(status: number, by: string) {
    super(`${formatStatus(status)} from ${by}`);
    this.status = status;
    this.by = by;
  }
}

/** `401 Unauthorized`, in Node's words and not in the server's. */
export function formatStatus(status: number): string {
  const words = STATUS_CODES[status];
  return words === undefined ? status.toString() : `${status.toString()} ${words}`;
}

/** Whether a status says that these credentials are wrong or may not do it. */
export function isRefusal(status: number): boolean {
  return status === 401 || status === 403;
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
