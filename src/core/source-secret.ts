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
import { usernameForToken } from "./vendor-tokens.ts";

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
  return credentialsInDocument(secret, key, format, address);
}

function credentialsInDocument(
  secret: SourceSecret,
  key: string,
  format: DockerConfigFormat,
  address: Address,
): readonly AddressedCredential[] {
  const document = decodeUtf8(readBytes(secret, key));
  if (document === undefined) throw new UnusableSecretError(`its key ${key} is not UTF-8`);
  const selection = selectCredentials(document, format, address);
  if (selection.kind === "unusable") throw new UnusableSecretError(`its key ${key}${selection.reason}`);
  return selection.credentials;
}

/** What a ClusterRegistry says that its Secret holds. The user name is a Token's, where the vendor's default is wrong. */
export interface OfferedContent {
  readonly type: "BasicAuth" | "Token" | "DockerConfig";
  readonly username: string | undefined;
}

/*
 * type         | types of the Secret                     | key
 * BasicAuth    | kubernetes.io/basic-auth, Opaque        | username, password
 * Token        | Opaque                                  | token
 * DockerConfig | kubernetes.io/dockerconfigjson, Opaque  | .dockerconfigjson, config.json: the first that is there
 */
const OFFERED_TYPES: Readonly<Record<OfferedContent["type"], readonly string[]>> = {
  BasicAuth: [BASIC_AUTH, "Opaque"],
  Token: ["Opaque"],
  DockerConfig: ["kubernetes.io/dockerconfigjson", "Opaque"],
};
const OFFERED_DOCUMENTS = [".dockerconfigjson", "config.json"];

/**
 * The credentials for an address in the Secret that a ClusterRegistry refers to; at least one.
 *
 * @throws UnusableSecretError if the Secret is of another type, lacks a key, or holds what cannot be used.
 */
export function credentialsInOffer(
  secret: SourceSecret,
  { type, username }: OfferedContent,
  address: Address,
): readonly AddressedCredential[] {
  const types = OFFERED_TYPES[type];
  if (!types.includes(getString(secret, "type") ?? "")) {
    throw new UnusableSecretError(`the type of the Secret is not ${types.join(" or ")}`);
  }
  switch (type) {
    case "BasicAuth":
      return [basicAuth(secret, address)];
    case "Token": {
      const password = readKey(secret, "token", readCredentialText);
      return [{ address, username: username ?? usernameForToken(address.host, password), password }];
    }
    case "DockerConfig": {
      const key = OFFERED_DOCUMENTS.find((candidate) => getString(secret.data, candidate) !== undefined);
      if (key === undefined) {
        throw new UnusableSecretError(`the Secret has no key ${OFFERED_DOCUMENTS.join(" or ")}`);
      }
      return credentialsInDocument(secret, key, "dockerconfigjson", address);
    }
  }
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
