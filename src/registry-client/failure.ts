/** Says in one line why a connection came to nothing. */

/** Codes of OpenSSL for a chain that ends at an authority that Node does not trust. */
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Long enough for the longest of Node's own; a certificate may list any number of names. */
const MAX_LENGTH = 200;

export function describeFailure(error: unknown): string {
  // For a name with several addresses Node tries each, and says nothing itself.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map(describeFailure).join(", ");
  }
  if (!(error instanceof Error)) return oneLine(String(error));
  const code = getString(error, "code");
  if (isPlainHttpFailure(error)) return "TLS: what answers does not speak it";
  if (isTlsCode(code)) return oneLine(`TLS: ${getString(error, "reason") || code}`);
  if (UNKNOWN_AUTHORITY.has(code)) {
    // Newer Node adds advice of its own after a semicolon.
    const [message = ""] = error.message.split(";");
    return oneLine(`TLS: ${message}; NODE_EXTRA_CA_CERTS names a file of authorities to trust`);
  }
  return oneLine(
    code.startsWith("CERT_") || code.startsWith("ERR_TLS_") ? `TLS: ${error.message}` : error.message,
  );
}

/**
 * Whether a TLS handshake was answered in plain text, as an HTTP server does. OpenSSL reads the first bytes of the
 * answer as the version of a record.
 */
export function isPlainHttpFailure(error: unknown): boolean {
  if (!(error instanceof Error) || !isTlsCode(getString(error, "code"))) return false;
  return /wrong version number|packet length too long/.test(getString(error, "reason") || error.message);
}

function isTlsCode(code: string): boolean {
  return code === "EPROTO" || code.startsWith("ERR_SSL_");
}

/** OpenSSL's errors have members of their own. */
function getString(error: Error, member: "code" | "reason"): string {
  const value: unknown = Reflect.get(error, member);
  return typeof value === "string" ? value : "";
}

/** A certificate's names are the server's words: they must not steer a terminal. */
function oneLine(text: string): string {
  const printable = text.replaceAll(/[^\x20-\x7e]+/g, " ").trim();
  return printable.length > MAX_LENGTH ? `${printable.slice(0, MAX_LENGTH)}...` : printable;
}
