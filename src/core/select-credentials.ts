/** Takes from a document with credentials those for one address, and only such as every reader of a copy can use. */
import { addressCovers, type Address } from "./address.ts";
import type { AddressedCredential, Credential } from "./credential.ts";
import {
  entriesFor,
  helperServes,
  parseDockerConfig,
  type DockerConfig,
  type DockerConfigFormat,
  type InvalidDockerConfigError,
} from "./docker-config.ts";

export type Selection =
  /** At least one. An entry that is for more than the address is narrowed to it. */
  | { readonly kind: "selected"; readonly credentials: readonly AddressedCredential[] }
  /** A clause without a subject that shows nothing of a credential, to follow the name of the document. */
  | { readonly kind: "unusable"; readonly reason: string };

/*
 * The first row that holds decides:
 *
 * the document                                  | the reason
 * cannot be decoded                             | ": " and where it is wrong
 * has no entry for the address                  | " has no entry for a.com"
 * one for it has no user name or no password    | ": the entry for a.com has no user name and password"
 * one for it is not UTF-8                       | ": the entry for a.com is not UTF-8"
 */
export function selectCredentials(text: string, format: DockerConfigFormat, address: Address): Selection {
  const config = parse(text, format);
  if (typeof config === "string") return unusable(`: ${config}`);
  const helper = helperServes(config, address) ? HELPER : "";
  const entries = entriesFor(config, address);
  if (entries.length === 0) return unusable(` has no entry for ${address.text}${helper && `; ${helper}`}`);
  for (const entry of entries) {
    const fault = faultOf(entry);
    if (fault === undefined) continue;
    // `docker login` leaves an empty entry behind where a helper keeps the credential.
    const reason = fault === "empty" ? `${FAULTS.empty}; ${helper || NO_TOKENS}` : FAULTS[fault];
    return unusable(`: the entry for ${entry.address.text} ${reason}`);
  }
  const credentials = entries.map(({ username, password, ...entry }) => ({
    address: addressCovers(entry.address, address) ? address : entry.address,
    username,
    password,
  }));
  return { kind: "selected", credentials };
}

const HELPER = "its credential helpers are programs that are not there in a pod";
const NO_TOKENS = "kubelet knows no identity or registry token";

/** Why a credential cannot be used, in words that follow what it belongs to. */
export const FAULTS = {
  empty: "has no user name and password",
  "not-utf8": "is not UTF-8, which the container runtime would refuse",
} as const;

/** Docker's own reader refuses a whole document for an empty user name, and kubelet logs in with nothing. */
export function faultOf({ username, password }: Credential): keyof typeof FAULTS | undefined {
  if (username === "" || password === "") return "empty";
  const text = username + password;
  return text.includes("\uFFFD") || !text.isWellFormed() ? "not-utf8" : undefined;
}

/** The document, or why it is none. */
function parse(text: string, format: DockerConfigFormat): DockerConfig | string {
  try {
    return parseDockerConfig(text, format);
  } catch (error) {
    // It throws no other error, and this one shows nothing of the document.
    return (error as InvalidDockerConfigError).message;
  }
}

function unusable(reason: string): Selection {
  return { kind: "unusable", reason };
}
