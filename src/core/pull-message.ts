/** Reads why an image was not pulled, from the reason and the message of a container that waits. */

/** The kind of failure, as far as kubelet and the container runtime say it. */
export type PullFailure =
  /** 401, or a token that does not allow the pull. */
  | "unauthorized"
  /** 403, or "requested access to the resource is denied": the image is not there, or not for this user. */
  | "forbidden"
  /** The registry says that the credentials are too old. */
  | "expired"
  | "not-found"
  | "network"
  | "tls"
  /** By the registry, or by the kubelet's own `registryPullQPS`. */
  | "rate-limited"
  /** The pull policy is Never, and the node does not have the image or does not give it to this pod (KEP-2535). */
  | "never-pulled"
  | "invalid-image-name"
  /** Kubelet waits before it tries again, and does not say what went wrong. Kubelets before 1.31 never do. */
  | "no-cause"
  | "unknown";

export interface PullMessage {
  readonly failure: PullFailure;
  /** One line, with nothing secret; what kubelet puts before the runtime's words is left out. Empty for `no-cause`. */
  readonly text: string;
}

/*
 * reason                                         | failure
 * InvalidImageName                               | invalid-image-name
 * ErrImageNeverPull                              | never-pulled
 * RegistryUnavailable (CRI-O)                    | network
 * ErrImagePull, ImagePullBackOff,                | by the message
 *   ImageInspectError, SignatureValidationFailed |
 * any other                                      | undefined: the container does not wait for an image
 *
 * The reasons are those of kubelet's pkg/kubelet/images/types.go and of k8s.io/cri-api/pkg/errors.
 */
const REASONS: ReadonlyMap<string, PullFailure | "by-message"> = new Map([
  ["InvalidImageName", "invalid-image-name"],
  ["ErrImageNeverPull", "never-pulled"],
  ["RegistryUnavailable", "network"],
  ["ErrImagePull", "by-message"],
  ["ImagePullBackOff", "by-message"],
  ["ImageInspectError", "by-message"],
  ["SignatureValidationFailed", "by-message"],
]);

/*
 * The first row with a pattern in the message decides. What ends a request for a token comes before what the registry refuses
 * without one: "failed to fetch oauth token: ... 429 Too Many Requests". No pattern can be part of an image's name.
 */
const PATTERNS: readonly (readonly [PullFailure, RegExp])[] = [
  // A page of a proxy or of a login, of which containerd says "not found".
  ["unknown", /unexpected media type/],
  ["rate-limited", /429 Too Many Requests|toomanyrequests: |pull rate limit|^pull QPS exceeded$/i],
  ["tls", /x509: |tls: |server gave HTTP response to HTTPS client|certificate (?:has expired|signed by)/],
  [
    "network",
    /no such host|connection refused|connection reset by peer|i\/o timeout|TLS handshake timeout|network is unreachable|no route to host|server misbehaving|deadline exceeded|registry is unavailable|50[234] (?:Bad Gateway|Service Unavailable|Gateway Time-?out)/,
  ],
  ["expired", /authorization token has expired|token (?:is|has) expired/i],
  [
    "unauthorized",
    /insufficient_scope|authorization failed|401 Unauthorized|failed to fetch (?:anonymous|oauth) token|unauthorized: |no basic auth credentials|authentication required/,
  ],
  ["forbidden", /403 Forbidden|requested access to the resource is denied|(?:^|[\s:])denied: /],
  ["unauthorized", /pull access denied/],
  ["not-found", /: not found(?:$|[\s,;\]])|manifest unknown|NAME_UNKNOWN|MANIFEST_UNKNOWN|404 Not Found/],
];

/** Undefined if the reason is not one for which a container waits for an image. */
export function readPullMessage(reason: string, message: string): PullMessage | undefined {
  const failure = REASONS.get(reason);
  if (failure === undefined) return undefined;
  const cause = withoutPrefix(message);
  return { failure: failure === "by-message" ? failureIn(cause) : failure, text: shorten(redact(cause)) };
}

function failureIn(cause: string): PullFailure {
  if (cause === "") return "no-cause";
  return PATTERNS.find(([, pattern]) => pattern.test(cause))?.[0] ?? "unknown";
}

/** `Back-off pulling image "X": ErrImagePull: rpc error: code = NotFound desc = ...`: what each layer puts before the cause. */
const PREFIXES = [
  /^Back-off pulling image "[^"]*"(?:: )?/,
  /^[A-Z][A-Za-z]+: /,
  /^rpc error: code = \w+ desc = /,
];

function withoutPrefix(message: string): string {
  return PREFIXES.reduce((text, prefix) => text.replace(prefix, ""), message.trim());
}

/**
 * Takes user names, passwords and queries out of URLs. Runtimes quote the URL that failed, and some registries redirect to a
 * store whose address carries a signature.
 */
export function redact(text: string): string {
  return text.replace(/[^\s"'<>]+/g, (word) => {
    const scheme = word.indexOf("://");
    if (scheme < 0) return word;
    const start = scheme + "://".length;
    // A password may contain any character, an @ included, and so may a query: where both may be meant, nothing is shown.
    const at = word.lastIndexOf("@");
    const query = word.indexOf("?", start);
    if (query >= 0 && at > query) return `${word.slice(0, start)}…${trailing(word)}`;
    const host = Math.max(start, at + 1);
    const end = query < 0 ? word.length : query;
    return `${word.slice(0, start)}${word.slice(host, end)}${query < 0 ? "" : `?…${trailing(word)}`}`;
  });
}

/** Punctuation after a URL is not part of it. Not by a pattern, whose time would grow with the square of the punctuation. */
function trailing(word: string): string {
  let start = word.length;
  while (PUNCTUATION.has(word.charAt(start - 1))) start--;
  return word.slice(start);
}

const PUNCTUATION: ReadonlySet<string> = new Set([":", ",", ";", ".", ")", "]"]);

/** An Event has room for 1024 characters, and our sentences are around it. */
const MAX_TEXT_LENGTH = 400;

/** What went wrong comes last: "failed to resolve reference ...: ...: not found". */
function shorten(text: string): string {
  const line = text
    .toWellFormed()
    .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ")
    .trim();
  if (line.length <= MAX_TEXT_LENGTH) return line;
  const half = MAX_TEXT_LENGTH / 2;
  return `${line.slice(0, half)}…${line.slice(1 - half)}`.toWellFormed();
}
