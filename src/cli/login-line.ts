/** What `check --login` says of each registry, in one line. */
import type { Failure, LoginOutcome, LoginReport, PullOutcome } from "../registry/login.ts";

const FAILURES: Readonly<Record<Failure["kind"], string>> = {
  refused: "refused",
  "not-reached": "not reached",
  "unusable-answer": "no usable answer",
};

export interface LoginLine {
  readonly text: string;
  /** Whether credentials that were asked about do not work, or nobody could tell. */
  readonly isFailure: boolean;
}

/** `subject` is the registry's name and what was asked: `team-a: registry.example.com/team-a`. */
export function loginLine(subject: string, { login, pulls }: LoginReport): LoginLine {
  const parts = [
    formatLogin(login),
    ...pulls.map(({ image, outcome }) =>
      formatPull(image.path, image.digest ?? image.tag ?? "latest", outcome),
    ),
  ];
  const isFailure = isFailed(login) || pulls.some(({ outcome }) => isFailed(outcome));
  return { text: `${subject}: ${parts.join(", ")}`, isFailure };
}

function formatLogin(login: LoginOutcome): string {
  switch (login.kind) {
    case "works":
      return `login works (${login.flow})`;
    case "asks-for-none":
      return "asks for no login";
    default:
      return formatFailure(login);
  }
}

function formatPull(path: string, version: string, outcome: PullOutcome): string {
  switch (outcome.kind) {
    case "allowed":
      return `may pull ${path}`;
    case "not-there":
      return `may pull ${path}, where there is no ${version}`;
    case "refused":
      return `may not pull ${path}: ${outcome.reason}`;
    default:
      return `may perhaps pull ${path}: ${formatFailure(outcome)}`;
  }
}

function formatFailure({ kind, reason }: Failure): string {
  return `${FAILURES[kind]}: ${reason}`;
}

function isFailed({ kind }: LoginOutcome | PullOutcome): boolean {
  return kind in FAILURES;
}
