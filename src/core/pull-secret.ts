/** Reads what a pull secret can be used for, without its passwords. */
import { parseAddress, type Address } from "./address.ts";
import { decodeBase64, decodeUtf8 } from "./credential.ts";
import { parseDockerConfig, type DockerConfig, type DockerConfigFormat } from "./docker-config.ts";
import { getString, isObject } from "./kubernetes.ts";
import { parseJson } from "./parse-json.ts";

/** What is known of a Secret that a pod names. */
export type PullSecretState =
  /** Nobody could read it. */
  | { readonly kind: "unknown" }
  | { readonly kind: "missing" }
  /** It has the name of a copy, and Pullpass did not write it. */
  | { readonly kind: "not-owned" }
  /** Empty if kubelet cannot use it. */
  | { readonly kind: "read"; readonly credentials: readonly KnownCredential[] };

export interface KnownCredential {
  readonly address: Address;
  /** Unix time in milliseconds; undefined if the credential does not say. */
  readonly expiresAt: number | undefined;
}

/** The types that kubelet reads, the key of each, and its format. Other types are ignored. */
const DOCUMENTS: ReadonlyMap<string, readonly [key: string, format: DockerConfigFormat]> = new Map([
  ["kubernetes.io/dockerconfigjson", [".dockerconfigjson", "dockerconfigjson"]],
  ["kubernetes.io/dockercfg", [".dockercfg", "dockercfg"]],
]);

/** What kubelet finds in a Secret, straight from JSON or from a typed client. */
export function readPullSecret(secret: {
  readonly type?: unknown;
  readonly data?: unknown;
}): Extract<PullSecretState, { kind: "read" }> {
  const credentials: KnownCredential[] = [];
  for (const [key, { username, password }] of documentIn(secret)?.entries ?? []) {
    const address = addressOf(key);
    // `docker login` leaves an empty entry behind where a helper keeps the credential.
    if (address === undefined || username === "" || password === "") continue;
    credentials.push({ address, expiresAt: expiryOf(password) });
  }
  return { kind: "read", credentials };
}

function documentIn(secret: { readonly type?: unknown; readonly data?: unknown }): DockerConfig | undefined {
  const [key = "", format = "dockercfg"] = DOCUMENTS.get(getString(secret, "type") ?? "") ?? [];
  const text = decodeText(getString(secret.data, key) ?? "");
  try {
    return text === undefined ? undefined : parseDockerConfig(text, format);
  } catch {
    return undefined;
  }
}

function addressOf(key: string): Address | undefined {
  try {
    return parseAddress(key);
  } catch {
    return undefined;
  }
}

/*
 * password                                          | expires
 * a JSON Web Token (RFC 7519)                       | at `exp`, in seconds
 * Amazon ECR's: base64 of a JSON object             | at `expiration`, in seconds
 * anything else, and a time that is no date         | is not known
 *
 * The token of a service account's key and GitLab's job tokens are of the first kind.
 */
export function expiryOf(password: string): number | undefined {
  const [, payload, signature, ...rest] = password.split(".");
  const isToken = payload !== undefined && signature !== undefined && rest.length === 0;
  const claims = parseJson(decodeText(isToken ? fromBase64Url(payload) : password) ?? "");
  const seconds = isObject(claims) ? claims[isToken ? "exp" : "expiration"] : undefined;
  const isTime = typeof seconds === "number" && seconds >= 0 && seconds <= LAST_SECOND;
  return isTime ? seconds * 1000 : undefined;
}

/** A token may say any number; RFC 3339 has years of four digits. */
const LAST_SECOND = Date.parse("9999-12-31T23:59:59Z") / 1000;

function fromBase64Url(text: string): string {
  return text.replaceAll("-", "+").replaceAll("_", "/");
}

function decodeText(base64: string): string | undefined {
  const bytes = decodeBase64(base64);
  return bytes === undefined ? undefined : decodeUtf8(bytes);
}
