/** Reads the credentials of a registry from a Secret that an admin keeps. */
import type { Address } from "./address.ts";
import {
  type AddressedCredential,
  type CredentialText,
  decodeBase64,
  decodeUtf8,
  readCredentialText,
  readUsername,
} from "./credential.ts";
import { type DockerConfigFormat, selectCredentials } from "./docker-config.ts";
import { getString } from "./kubernetes.ts";

/** Thrown by {@link credentialsInSecret}; says what of the Secret is wrong, and never what it holds. */
export class UnusableSecretError extends Error {
  override readonly name = "UnusableSecretError";
}

/*
 * type                            | key of the data      | what it holds
 * kubernetes.io/dockerconfigjson  | .dockerconfigjson    | a config.json
 * kubernetes.io/dockercfg         | .dockercfg           | the entries of one
 * Opaque                          | config.json          | a config.json
 * kubernetes.io/basic-auth        | username, password   | each alone
 * anything else                   |                      | an error
 */
const DOCUMENTS: ReadonlyMap<string, readonly [key: string, format: DockerConfigFormat]> = new Map([
  ["kubernetes.io/dockerconfigjson", [".dockerconfigjson", "dockerconfigjson"]],
  ["kubernetes.io/dockercfg", [".dockercfg", "dockercfg"]],
  ["Opaque", ["config.json", "dockerconfigjson"]],
]);
const BASIC_AUTH = "kubernetes.io/basic-auth";

/** A Secret, straight from JSON or from a typed client. */
export interface SourceSecret {
  readonly type?: unknown;
  readonly data?: unknown;
}

/**
 * The credentials for an address in a Secret as the API server sends it, with its `data` in base64; at least one.
 * Those that a credential helper would bring are not there.
 *
 * @throws UnusableSecretError if the Secret holds none for the address, or one that cannot be used.
 */
export function credentialsInSecret(secret: SourceSecret, address: Address): readonly AddressedCredential[] {
  const type = getString(secret, "type") ?? "";
  if (type === BASIC_AUTH) return [basicAuth(secret, address)];
  const [key, format] = DOCUMENTS.get(type) ?? [];
  if (key === undefined || format === undefined) {
    const known = [...DOCUMENTS.keys(), BASIC_AUTH].join(", ");
    throw new UnusableSecretError(`the type of the Secret is none of ${known}`);
  }
  const document = decodeUtf8(readBytes(secret, key));
  if (document === undefined) throw new UnusableSecretError(`its key ${key} is not UTF-8`);
  const selection = selectCredentials(document, format, address);
  if (selection.kind === "unusable") throw new UnusableSecretError(`its key ${key}${selection.reason}`);
  return selection.credentials;
}

function basicAuth(secret: SourceSecret, address: Address): AddressedCredential {
  const username = readKey(secret, "username", readUsername);
  const password = readKey(secret, "password", readCredentialText);
  return { address, username, password };
}

function readKey(secret: SourceSecret, key: string, read: (bytes: Uint8Array) => CredentialText): string {
  const result = read(readBytes(secret, key));
  if (result.kind === "unusable") throw new UnusableSecretError(`its key ${key} ${result.fault}`);
  return result.text;
}

function readBytes(secret: SourceSecret, key: string): Uint8Array {
  const base64 = getString(secret.data, key);
  if (base64 === undefined) throw new UnusableSecretError(`the Secret has no key ${key}`);
  const bytes = decodeBase64(base64);
  if (bytes === undefined) throw new UnusableSecretError(`its key ${key} is not base64`);
  return bytes;
}
