/** User names and passwords, and how they are read. */
import type { Address } from "./address.ts";
import { isObject, type JsonObject } from "./kubernetes.ts";
import { parseJson } from "./parse-json.ts";

/** What kubelet sends to a registry; it knows nothing else, identity and registry tokens included. */
export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** A credential and the address that it is for: the registry's, or a more exact one from a `config.json`. */
export interface AddressedCredential extends Credential {
  readonly address: Address;
  /** What it replaced, where that is known. Registries may still take it. */
  readonly previous?: PreviousCredential | undefined;
}

export interface PreviousCredential extends Credential {
  /** Pull secrets have it beside the new one. Those that have it afterwards keep it until they are written for another reason. */
  readonly isInGrace: boolean;
}

/** What a source holds as a user name, a password or a token. */
export type CredentialText =
  | { readonly kind: "text"; readonly text: string }
  /** A predicate that follows the name of the source; it shows nothing of the content. */
  | { readonly kind: "unusable"; readonly fault: string };

/**
 * Reads a user name, a password or a token. There is one rule for all sources: the configuration itself, environment
 * variables, files, and the keys and entries of Secrets.
 *
 * A byte order mark and one last line break are dropped: editors and `echo` add them. Of what is left the first row that holds
 * decides:
 *
 * the source holds                              | result
 * bytes that are not UTF-8, or U+FFFD           | unusable: registries get UTF-8, and a guess would be another password
 * nothing                                       | unusable
 * a control character, and is not a JSON object | unusable: RFC 7617 forbids them, and most are a second line or a slip
 * anything else                                 | the text as it is, spaces included
 *
 * A service account's key is a JSON document, sent as it is, and usually has line breaks between its members.
 */
export function readCredentialText(source: string | Uint8Array): CredentialText {
  const decoded = typeof source === "string" ? source : decodeUtf8(source);
  // Decoders put U+FFFD where bytes are not UTF-8: Node does for environment variables.
  if (decoded === undefined || decoded.includes("\uFFFD") || !decoded.isWellFormed()) {
    return { kind: "unusable", fault: "is not UTF-8" };
  }
  const text = decoded.replace(/^\uFEFF|(?:\r\n|\n|\r)$/g, "");
  if (text === "") return { kind: "unusable", fault: "is empty" };
  if (/\p{Cc}/u.test(text) && parseJsonObject(text) === undefined) {
    return { kind: "unusable", fault: "contains a control character, such as a line break or a tab" };
  }
  return { kind: "text", text };
}

/** As {@link readCredentialText}, and without a colon, which ends the user name in HTTP's Basic authentication. */
export function readUsername(source: string | Uint8Array): CredentialText {
  const result = readCredentialText(source);
  const hasColon = result.kind === "text" && result.text.includes(":");
  return hasColon ? { kind: "unusable", fault: "contains a colon" } : result;
}

/** Undefined if the bytes are not UTF-8. A byte order mark is taken off. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Whether a token is the key of a Google service account, which does not expire by itself. */
export function isServiceAccountKey(token: string): boolean {
  return parseJsonObject(token)?.["type"] === "service_account";
}

function parseJsonObject(text: string): JsonObject | undefined {
  const value = parseJson(text);
  return isObject(value) ? value : undefined;
}

/** A string that must not be shown: whoever prints, logs or serialises the object gets a placeholder. */
export class Sensitive {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return "[hidden]";
  }

  toJSON(): string {
    return "[hidden]";
  }
}

/** Standard base64 with padding of the string's UTF-8; half of a surrogate pair becomes U+FFFD. */
export function encodeBase64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

const PADDED = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const UNPADDED = /^[A-Za-z0-9+/]*$/;

/** Go's base64: line breaks are ignored, padding is complete or absent. Undefined if the string is not base64. */
export function decodeBase64(base64: string): Uint8Array | undefined {
  const digits = base64.replace(/[\r\n]/g, "");
  const isPadded = base64.trim().endsWith("=");
  const isValid = isPadded ? PADDED.test(digits) : UNPADDED.test(digits) && digits.length % 4 !== 1;
  return isValid ? Uint8Array.from(atob(digits), (character) => character.charCodeAt(0)) : undefined;
}
