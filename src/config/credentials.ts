/** Reads the credentials that the configuration points at, from files and the environment. */
import type { Address } from "../core/address.ts";
import { decodeUtf8, readCredentialText, type AddressedCredential } from "../core/credential.ts";
import { selectCredentials } from "../core/docker-config.ts";
import { usernameForToken } from "../core/vendor-tokens.ts";
import type { ConfiguredRegistry, CredentialSource, TextSource } from "./configuration.ts";
import { formatKeyPath, type KeyPath } from "./diagnostics.ts";
import { readBytes, UnreadableFileError } from "./files.ts";

/**
 * Thrown where credentials cannot be used. It names the field that says where they are, and shows neither what they are
 * nor what the field holds: people put passwords into `file` and `env`.
 */
export class UnusableCredentialsError extends Error {
  override readonly name = "UnusableCredentialsError";
  readonly reason: string;
  /** The field within the registry's entry; empty for the entry as a whole. */
  readonly field: KeyPath;

  constructor(
    reason: string,
    { field = [], cause }: { readonly field?: KeyPath; readonly cause?: unknown } = {},
  ) {
    super(field.length === 0 ? reason : `${formatKeyPath(field)}: ${reason}`, { cause });
    this.reason = reason;
    this.field = field;
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The credentials of a registry as its source has them now; none for a registry without a source, and none for one
 * whose source is a Secret, which takes a cluster to read.
 *
 * @throws UnusableCredentialsError if the source is not there, cannot be read, or holds nothing for the registry, and for one whose
 *   source is a provider, which takes a program to run.
 */
export function readCredentials(
  registry: ConfiguredRegistry,
  environment: Environment,
): readonly AddressedCredential[] {
  const { source, address } = registry;
  switch (source?.kind) {
    case undefined:
    case "secret":
    case "offered-secret":
      return [];
    case "password":
    case "token": {
      const password = readSource(source.secret, ["auth", `${source.kind}From`], environment);
      return [{ address, username: source.username ?? usernameForToken(address.host, password), password }];
    }
    case "docker-config":
      return credentialsIn(source.path, address);
    case "provider":
      throw new UnusableCredentialsError("only serve and check run credential providers", {
        field: ["auth", "provider"],
      });
  }
}

/** The files that hold credentials, each once: what has to be watched besides the configuration. */
export function credentialFiles(registries: readonly ConfiguredRegistry[]): readonly string[] {
  return [...new Set(registries.flatMap(({ source }) => fileOf(source) ?? []))];
}

/** The file that holds the credentials, if one does. */
export function fileOf(source: CredentialSource | undefined): string | undefined {
  if (source?.kind === "docker-config") return source.path;
  if (source?.kind !== "password" && source?.kind !== "token") return undefined;
  return source.secret.kind === "file" ? source.secret.path : undefined;
}

/** `from` is the field that names a file or a variable. */
function readSource(source: TextSource, from: KeyPath, environment: Environment): string {
  switch (source.kind) {
    case "inline":
      // The schema has read it.
      return source.value.reveal();
    case "environment": {
      const field = [...from, "env"];
      const value = environment[source.variable];
      if (value === undefined) {
        throw new UnusableCredentialsError("the environment variable is not set", { field });
      }
      return readText(value, "the variable", field);
    }
    case "file": {
      const field = [...from, "file"];
      return readText(readFile(source.path, field), "the file", field);
    }
  }
}

function readText(content: string | Uint8Array, subject: string, field: KeyPath): string {
  const result = readCredentialText(content);
  if (result.kind === "unusable") throw new UnusableCredentialsError(`${subject} ${result.fault}`, { field });
  return result.text;
}

function credentialsIn(file: string, address: Address): readonly AddressedCredential[] {
  const field = ["auth", "file"];
  const text = decodeUtf8(readFile(file, field));
  if (text === undefined) throw new UnusableCredentialsError("the file is not UTF-8", { field });
  const selection = selectCredentials(text, "dockerconfigjson", address);
  if (selection.kind === "unusable") {
    throw new UnusableCredentialsError(`the file${selection.reason}`, { field });
  }
  return selection.credentials;
}

function readFile(file: string, field: KeyPath): Uint8Array {
  try {
    return readBytes(file);
  } catch (error) {
    if (!(error instanceof UnreadableFileError)) throw error;
    throw new UnusableCredentialsError(`the file cannot be read: ${error.message}`, { field });
  }
}
