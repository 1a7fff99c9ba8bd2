/**
 * Reads `config.json` as `docker login` leaves it and as pull secrets hold it.
 *
 * The rules are kubelet's (k8s.io/kubernetes `pkg/credentialprovider/config.go`), because a document that kubelet cannot
 * decode fails every pull of a pod: member names match in any case, `auth` wins over `username` and `password` and may be
 * padded or not, one entry that cannot be decoded loses the whole document, and what else is in there does not matter.
 */
import { addressCovers, parseAddress, type Address } from "./address.ts";
import { decodeBase64 } from "./base64.ts";
import type { Credential } from "./credential.ts";
import { isObject, type JsonObject } from "./kubernetes.ts";

/** `dockerconfigjson` has its entries under `auths`; the older `dockercfg` is those entries alone. */
export type DockerConfigFormat = "dockerconfigjson" | "dockercfg";

export interface DockerConfig {
  /** Credentials by the key that they stand under, as written. User name and password may be empty. */
  readonly entries: ReadonlyMap<string, Credential>;
  /** The keys of `credHelpers`, and whether there is a `credsStore`: credentials that are not in this document. */
  readonly helperKeys: readonly string[];
  readonly hasCredentialsStore: boolean;
}

/** Thrown by {@link parseDockerConfig}; says where in the document, and never what is there. */
export class InvalidDockerConfigError extends Error {
  override readonly name = "InvalidDockerConfigError";
}

/** @throws InvalidDockerConfigError if kubelet could not decode the document. */
export function parseDockerConfig(text: string, format: DockerConfigFormat): DockerConfig {
  const document = parseJson(text);
  const members = readObject(document, "the document");
  const auths = format === "dockercfg" ? members : readObject(memberOf(members, "auths"), "auths");
  const helpers = memberOf(members, "credHelpers");
  return {
    entries: new Map(
      Object.entries(auths).map(([key, entry], index) => [key, readEntry(entry, describeEntry(index))]),
    ),
    helperKeys: format === "dockerconfigjson" && isObject(helpers) ? Object.keys(helpers) : [],
    hasCredentialsStore: format === "dockerconfigjson" && Boolean(memberOf(members, "credsStore")),
  };
}

/** One entry of a document that serves an address. */
export interface DockerConfigEntry extends Credential {
  readonly address: Address;
}

/**
 * The entries that serve an address: those whose key is the address or covers it, the most specific key alone; for an
 * address with `*`, all whose key it covers. Keys that are no addresses serve none.
 */
export function entriesFor(config: DockerConfig, address: Address): readonly DockerConfigEntry[] {
  const entries: DockerConfigEntry[] = [];
  for (const [key, credential] of config.entries) {
    const keyAddress = addressOfKey(key);
    if (keyAddress !== undefined) entries.push({ address: keyAddress, ...credential });
  }
  const same = entries.filter((entry) => entry.address.text === address.text);
  if (same.length > 0) return same;
  if (address.isWildcard) return entries.filter((entry) => addressCovers(address, entry.address));
  const covering = entries.filter((entry) => addressCovers(entry.address, address));
  const longestPath = Math.max(...covering.map((entry) => entry.address.path.length));
  return covering.filter((entry) => entry.address.path.length === longestPath).slice(0, 1);
}

/** Whether Docker's own programs would ask a credential helper about the address, or about hosts that it covers. */
export function helperServes(config: DockerConfig, address: Address): boolean {
  if (config.hasCredentialsStore) return true;
  const helped = config.helperKeys.map(addressOfKey).filter((key) => key !== undefined);
  return helped.some((key) => addressCovers(key, address) || addressCovers(address, key));
}

function addressOfKey(key: string): Address | undefined {
  try {
    return parseAddress(key);
  } catch {
    return undefined;
  }
}

/** Not by its key: people write `https://user:password@host`. */
function describeEntry(index: number): string {
  return `entry ${(index + 1).toString()} of auths`;
}

function readEntry(value: unknown, where: string): Credential {
  const entry = readObject(value, where);
  const username = readText(entry, "username", where);
  const password = readText(entry, "password", where);
  readText(entry, "email", where);
  const auth = readText(entry, "auth", where);
  return auth === "" ? { username, password } : decodeAuth(auth, where);
}

/**
 * Base64 of `username:password`, divided at the first colon. Bytes that are no UTF-8 do not lose the document; U+FFFD
 * stands for them.
 */
function decodeAuth(auth: string, where: string): Credential {
  const bytes = decodeBase64(auth);
  if (bytes === undefined) throw new InvalidDockerConfigError(`${where}: auth is not base64`);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const colon = text.indexOf(":");
  if (colon < 0) throw new InvalidDockerConfigError(`${where}: auth is not base64 of username:password`);
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message shows a piece of the text.
    throw new InvalidDockerConfigError("the document is not JSON");
  }
}

/** Go decodes null into an empty value, wherever it stands. */
function readObject(value: unknown, where: string): JsonObject {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new InvalidDockerConfigError(`${where} is not a JSON object`);
  return value;
}

function readText(entry: JsonObject, name: string, where: string): string {
  const value = memberOf(entry, name);
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new InvalidDockerConfigError(`${where}: ${name} is not a string`);
  return value;
}

/** Go finds a struct's member in any case; of several the last counts. */
function memberOf(object: JsonObject, name: string): unknown {
  const key = Object.keys(object).findLast((candidate) => candidate.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : object[key];
}
