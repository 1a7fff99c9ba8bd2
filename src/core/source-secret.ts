/** Reads the credentials of a registry from a Secret that an admin keeps. */
import type { Address } from "./address.ts";
import { decodeBase64 } from "./base64.ts";
import type { AddressedCredential } from "./credential.ts";
import type { DockerConfigFormat } from "./docker-config.ts";
import { textOf, type JsonObject } from "./kubernetes.ts";
import { FAULTS, faultOf, selectCredentials } from "./select-credentials.ts";

/** Thrown by {@link credentialsInSecret}; says what of the Secret is wrong, and never what it holds. */
export class UnusableSecretError extends Error {
  override readonly name = "UnusableSecretError";
}

/*
 * type                            | key of the data      | what stands there
 * kubernetes.io/dockerconfigjson  | .dockerconfigjson    | a config.json
 * kubernetes.io/dockercfg         | .dockercfg           | the entries of one
 * Opaque                          | config.json          | a config.json
 * kubernetes.io/basic-auth        | username, password   | each as it is, without a last line break
 * anything else                   |                      | an error
 */
const DOCUMENTS: ReadonlyMap<string, readonly [key: string, format: DockerConfigFormat]> = new Map([
  ["kubernetes.io/dockerconfigjson", [".dockerconfigjson", "dockerconfigjson"]],
  ["kubernetes.io/dockercfg", [".dockercfg", "dockercfg"]],
  ["Opaque", ["config.json", "dockerconfigjson"]],
]);
const BASIC_AUTH = "kubernetes.io/basic-auth";

/**
 * The credentials for an address in a Secret as the API server sends it, with its `data` in base64; at least one.
 * Those that a credential helper would bring are not there.
 *
 * @throws UnusableSecretError if the Secret holds none for the address, or one that cannot be used.
 */
export function credentialsInSecret(secret: JsonObject, address: Address): readonly AddressedCredential[] {
  const type = textOf(secret, "type") ?? "";
  if (type === BASIC_AUTH) return [basicAuth(secret, address)];
  const [key, format] = DOCUMENTS.get(type) ?? [];
  if (key === undefined || format === undefined) {
    const known = [...DOCUMENTS.keys(), BASIC_AUTH].join(", ");
    throw new UnusableSecretError(`the type of the Secret is ${JSON.stringify(type)}, none of ${known}`);
  }
  const selection = selectCredentials(readText(secret, key), format, address);
  if (selection.kind === "unusable") throw new UnusableSecretError(`its key ${key}${selection.reason}`);
  return selection.credentials;
}

function basicAuth(secret: JsonObject, address: Address): AddressedCredential {
  // Editors and `echo` end a file with a line break, and `kubectl create --from-file` keeps it.
  const [username = "", password = ""] = ["username", "password"].map((key) =>
    readText(secret, key).replace(/\r?\n$/, ""),
  );
  const fault = faultOf({ username, password });
  if (fault !== undefined) throw new UnusableSecretError(`the Secret ${FAULTS[fault]}`);
  return { address, username, password };
}

function readText(secret: JsonObject, key: string): string {
  const base64 = textOf(secret["data"], key);
  if (base64 === undefined) throw new UnusableSecretError(`the Secret has no key ${key}`);
  const bytes = decodeBase64(base64);
  if (bytes === undefined) throw new UnusableSecretError(`its key ${key} is not base64`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new UnusableSecretError(`its key ${key} is not UTF-8`);
  }
}
