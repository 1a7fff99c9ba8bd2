/** Reads the credentials that the configuration points at, from files and the environment. */
import { readFileSync } from "node:fs";
import { messageOf } from "../core/error-message.ts";
import type { Address } from "../core/address.ts";
import { usernameForToken, type AddressedCredential } from "../core/credential.ts";
import { selectCredentials } from "../core/select-credentials.ts";
import type { ConfiguredRegistry, TextSource } from "./configuration.ts";

/** Thrown by {@link readCredentials}; says which source of which registry, and never what it holds. */
export class UnusableCredentialsError extends Error {
  override readonly name = "UnusableCredentialsError";
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The credentials of a registry as its source has them now; none for a registry without a source, and none for one
 * whose source is a Secret, which takes a cluster to read.
 *
 * @throws UnusableCredentialsError if the source is not there, cannot be read, or holds nothing for the registry.
 */
export function readCredentials(
  registry: ConfiguredRegistry,
  environment: Environment,
): readonly AddressedCredential[] {
  const { source, address } = registry;
  switch (source?.kind) {
    case undefined:
    case "secret":
      return [];
    case "basic":
      return [{ address, username: source.username, password: readText(source.password, environment) }];
    case "token": {
      const token = readText(source.token, environment);
      const username = source.username ?? usernameForToken(address.host, token);
      return [{ address, username, password: token }];
    }
    case "docker-config":
      return credentialsIn(source.path, address);
  }
}

/** The files that hold credentials, each once: what has to be watched besides the configuration. */
export function credentialFiles(registries: readonly ConfiguredRegistry[]): readonly string[] {
  const files = registries.flatMap(({ source }) => {
    switch (source?.kind) {
      case "basic":
        return source.password.kind === "file" ? [source.password.path] : [];
      case "token":
        return source.token.kind === "file" ? [source.token.path] : [];
      case "docker-config":
        return [source.path];
      default:
        return [];
    }
  });
  return [...new Set(files)];
}

function readText(source: TextSource, environment: Environment): string {
  switch (source.kind) {
    case "inline":
      return source.value.reveal();
    case "environment": {
      const value = environment[source.variable] ?? "";
      if (value === "")
        throw new UnusableCredentialsError(`environment variable ${source.variable} is not set`);
      return value;
    }
    case "file": {
      // Editors and `echo` end a file with a line break that is no part of the password.
      const value = readFile(source.path).replace(/\r?\n$/, "");
      if (value === "") throw new UnusableCredentialsError(`file ${source.path} is empty`);
      return value;
    }
  }
}

function credentialsIn(file: string, address: Address): readonly AddressedCredential[] {
  const selection = selectCredentials(readFile(file), "dockerconfigjson", address);
  if (selection.kind === "unusable") throw new UnusableCredentialsError(`file ${file}${selection.reason}`);
  return selection.credentials;
}

function readFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    // Node's own words name what was tried and the file.
    throw new UnusableCredentialsError(messageOf(error), {
      cause: error,
    });
  }
}
