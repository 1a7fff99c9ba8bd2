/** User names and passwords, and how a token becomes one. */
import type { Address } from "./address.ts";

/** What kubelet sends to a registry; it knows nothing else, identity and registry tokens included. */
export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** A credential and the address that it is for: the registry's, or a more exact one from a `config.json`. */
export interface AddressedCredential extends Credential {
  readonly address: Address;
}

/*
 * The user name that goes with a token, by the vendor's rule. The first row that holds decides.
 *
 * token or host                                    | user name
 * the token is a service account's JSON document   | _json_key
 * gcr.io, *.gcr.io, *.pkg.dev                      | oauth2accesstoken
 * *.azurecr.io                                     | 00000000-0000-0000-0000-000000000000
 * *.dkr.ecr.*.amazonaws.com (.cn), public.ecr.aws  | AWS
 * nvcr.io                                          | $oauthtoken
 * anything else                                    | token
 */
const TOKEN_USERNAMES: readonly (readonly [host: RegExp, username: string])[] = [
  [/^(?:.+\.)?gcr\.io$|\.pkg\.dev$/, "oauth2accesstoken"],
  [/\.azurecr\.io$/, "00000000-0000-0000-0000-000000000000"],
  [/\.dkr\.ecr(?:-fips)?\.[^.]+\.amazonaws\.com(?:\.cn)?$|^public\.ecr\.aws$/, "AWS"],
  [/^nvcr\.io$/, "$oauthtoken"],
];

/** The user name to send with a token; `host` without port, as in the address. */
export function usernameForToken(host: string, token: string): string {
  if (isServiceAccountKey(token)) return "_json_key";
  return TOKEN_USERNAMES.find(([pattern]) => pattern.test(host))?.[1] ?? "token";
}

function isServiceAccountKey(token: string): boolean {
  if (!token.trimStart().startsWith("{")) return false;
  try {
    const key: unknown = JSON.parse(token);
    return typeof key === "object" && key !== null && "type" in key && key.type === "service_account";
  } catch {
    return false;
  }
}

/** A text that must not be shown: whoever prints, logs or serialises the object gets a placeholder. */
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
