/** Takes from a document with credentials those for one address, and only such as every reader of a copy can use. */
import { addressCovers, type Address } from "./address.ts";
import { readCredentialText, readUsername, type AddressedCredential } from "./credential.ts";
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
 * the document                                   | the reason
 * cannot be decoded                              | ": " and where it is wrong
 * has no entry for the address                   | " has no entry for a.com"
 * one for it has no user name or no password     | ": the entry for a.com has no user name and password"
 * one for it has one that readers cannot use     | ": the password of the entry for a.com is not UTF-8"
 */
export function selectCredentials(text: string, format: DockerConfigFormat, address: Address): Selection {
  const config = parse(text, format);
  if (typeof config === "string") return unusable(`: ${config}`);
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
