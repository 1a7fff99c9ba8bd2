/** Credentials that somebody typed: the Secret that they become, and what is wrong with them. */
import { InvalidAddressError, parseAddress } from "../core/address.ts";
import { encodeBase64, type AddressedCredential } from "../core/credential.ts";
import { getString } from "../core/kubernetes.ts";
import { CREDENTIALS_LABEL } from "../core/labels.ts";
import { credentialsInOffer, UnusableSecretError } from "../core/source-secret.ts";
import type { Credentials, Problem } from "./api.ts";

/** Undefined if it is none. */
export function readCredentialsBody(value: unknown): Credentials | undefined {
  const text = (key: string): string => getString(value, key) ?? "";
  switch (getString(value, "type")) {
    case "BasicAuth":
      return { type: "BasicAuth", username: text("username"), password: text("password") };
    case "Token":
      return { type: "Token", token: text("token") };
    case "DockerConfig":
      return { type: "DockerConfig", config: text("config") };
    default:
      return undefined;
  }
}

export interface CredentialsSecret {
  readonly apiVersion: "v1";
  readonly kind: "Secret";
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly type?: string;
  readonly data: Readonly<Record<string, string>>;
}

/** For a Secret that is there, without its type, which cannot be changed and might be another one that serves as well. */
export function credentialsSecret(
  credentials: Credentials,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  isNew: boolean,
): CredentialsSecret {
  const { type, texts } = contentOf(credentials);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, labels: { [CREDENTIALS_LABEL]: "true" } },
    ...(isNew && { type }),
    data: Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, encodeBase64(text)])),
  };
}

function contentOf(credentials: Credentials): {
  readonly type: string;
  readonly texts: Readonly<Record<string, string>>;
} {
  switch (credentials.type) {
    case "BasicAuth": {
      const { username, password } = credentials;
      return { type: "kubernetes.io/basic-auth", texts: { username, password } };
    }
    case "Token":
      return { type: "Opaque", texts: { token: credentials.token } };
    case "DockerConfig":
      return {
        type: "kubernetes.io/dockerconfigjson",
        texts: { ".dockerconfigjson": credentials.config },
      };
  }
}

export type TypedCredentials =
  | { readonly kind: "usable"; readonly credentials: readonly AddressedCredential[] }
  | { readonly kind: "unusable"; readonly problem: Problem };

/** As Pullpass will read them from the Secret. `username` is that of a token. */
export function readTypedCredentials(
  typed: Credentials,
  address: string,
  username: string | undefined,
): TypedCredentials {
  const secret = credentialsSecret(typed, { name: "", namespace: "" }, true);
  try {
    const content = { type: typed.type, username };
    return { kind: "usable", credentials: credentialsInOffer(secret, content, parseAddress(address)) };
  } catch (error) {
    if (error instanceof InvalidAddressError)
      return { kind: "unusable", problem: { field: "spec.address", message: error.message } };
    if (!(error instanceof UnusableSecretError)) throw error;
    const [, key = "", fault = error.message] =
      /^its key (\S+?) ?((?::|is|contains|has|holds).*)$/s.exec(error.message) ?? [];
    const field = key === ".dockerconfigjson" || key === "" ? "config" : key;
    return {
      kind: "unusable",
      problem: { field: `credentials.${field}`, message: fault.replace(/^: /, "") },
    };
  }
}
