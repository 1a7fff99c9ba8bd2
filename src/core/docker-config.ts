/**
 * Reads `config.json` as `docker login` leaves it and as pull secrets hold it.
 *
 * The rules are kubelet's (k8s.io/kubernetes `pkg/credentialprovider/config.go`), because a document that kubelet cannot
 * decode fails every pull of a pod: member names match in any case, `auth` wins over `username` and `password` and may be
 * padded or not, one entry that cannot be decoded invalidates the whole document, and other members do not matter.
 */
import { type Address, addressCovers, compareSpecificity, parseAddress } from "./address.ts";
import {
  type AddressedCredential,
  type Credential,
  decodeBase64,
  readCredentialText,
  readUsername,
} from "./credential.ts";
import { isObject, type JsonObject } from "./kubernetes.ts";
import { parseJson } from "./parse-json.ts";

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
  if (document === undefined) throw new InvalidDockerConfigError("the document is not JSON");
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

/**
 * The entries that serve an address: those whose key is the address or covers it, the most specific key alone; for an
 * address with `*`, all whose key it covers. Keys that are not addresses are ignored.
 */
export function entriesFor(config: DockerConfig, address: Address): readonly AddressedCredential[] {
  const entries: AddressedCredential[] = [];
  for (const [key, credential] of config.entries) {
    const keyAddress = addressOfKey(key);
    if (keyAddress !== undefined) entries.push({ address: keyAddress, ...credential });
  }
  const same = entries.filter((entry) => entry.address.text === address.text);
  if (same.length > 0) return same;
  if (address.isWildcard) return entries.filter((entry) => addressCovers(address, entry.address));
  const covering = entries.filter((entry) => addressCovers(entry.address, address));
  return covering.toSorted((a, b) => compareSpecificity(a.address, b.address)).slice(0, 1);
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
 * Base64 of `username:password`, divided at the first colon. Bytes that are not UTF-8 do not invalidate the document; they
 * become U+FFFD.
 */
function decodeAuth(auth: string, where: string): Credential {
  const bytes = decodeBase64(auth);
  if (bytes === undefined) throw new InvalidDockerConfigError(`${where}: auth is not base64`);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const colon = text.indexOf(":");
  if (colon < 0) throw new InvalidDockerConfigError(`${where}: auth is not base64 of username:password`);
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
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

export type Selection =
  /** At least one. An entry that is for more than the address is narrowed to it. */
  | { readonly kind: "selected"; readonly credentials: readonly AddressedCredential[] }
  /** A clause without a subject that shows nothing of a credential, to follow the name of the document. */
  | { readonly kind: "unusable"; readonly reason: string };

/**
 * The credentials of a document for one address, if every reader of a copy can use them. The first row that holds decides:
 *
 * the document                                   | the reason
 * cannot be decoded                              | ": " and where it is wrong
 * has no entry for the address                   | " has no entry for a.com"
 * one for it has no user name or no password     | ": the entry for a.com has no user name and password"
 * one for it has one that readers cannot use     | ": the password of the entry for a.com is not UTF-8"
 */
export function selectCredentials(text: string, format: DockerConfigFormat, address: Address): Selection {
  let config: DockerConfig;
  try {
    config = parseDockerConfig(text, format);
  } catch (error) {
    // It throws no other error, and this one shows nothing of the document.
    return unusable(`: ${(error as InvalidDockerConfigError).message}`);
  }
  const helper = helperServes(config, address) ? HELPER : "";
  const entries = entriesFor(config, address);
  if (entries.length === 0) return unusable(` has no entry for ${address.text}${helper && `; ${helper}`}`);
  const credentials: AddressedCredential[] = [];
  for (const entry of entries) {
    const where = `the entry for ${entry.address.text}`;
    // `docker login` leaves an empty entry behind where a helper keeps the credential.
    if (entry.username === "" || entry.password === "")
      return unusable(`: ${where} has no user name and password; ${helper || NO_TOKENS}`);
    const username = readUsername(entry.username);
    if (username.kind === "unusable") return unusable(`: the user name of ${where} ${username.fault}`);
    const password = readCredentialText(entry.password);
    if (password.kind === "unusable") return unusable(`: the password of ${where} ${password.fault}`);
    credentials.push({
      address: addressCovers(entry.address, address) ? address : entry.address,
      username: username.text,
      password: password.text,
    });
  }
  return { kind: "selected", credentials };
}

const HELPER = "pods cannot run its credential helpers";
const NO_TOKENS = "kubelet ignores identity tokens and registry tokens";

function unusable(reason: string): Selection {
  return { kind: "unusable", reason };
}
