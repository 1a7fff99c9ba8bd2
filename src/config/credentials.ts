/** Reads the credentials that the configuration points at, from files and the environment. */
import { readFileSync } from "node:fs";
import { usernameForToken, type AddressedCredential } from "../core/credential.ts";
import {
  entriesFor,
  InvalidDockerConfigError,
  parseDockerConfig,
  type DockerConfig,
} from "../core/docker-config.ts";
import type { Address } from "../core/address.ts";
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
      return credentialsIn(readFile(source.path), source.path, address);
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

function credentialsIn(text: string, file: string, address: Address): readonly AddressedCredential[] {
  const config = parseConfig(text, file);
  const entries = entriesFor(config, address);
  if (entries.length === 0) throw new UnusableCredentialsError(missingEntryReason(config, file, address));
  for (const entry of entries) {
    // Docker's own reader refuses a whole document for an empty user name, and kubelet logs in with nothing.
    if (entry.username === "" || entry.password === "") {
      throw new UnusableCredentialsError(
        `file ${file}: the entry for ${entry.address.text} has no user name and password; kubelet knows no identity or registry token`,
      );
    }
    if ((entry.username + entry.password).includes("\uFFFD")) {
      throw new UnusableCredentialsError(
        `file ${file}: the entry for ${entry.address.text} is not UTF-8, which the container runtime would refuse`,
      );
    }
  }
  return entries;
}

function parseConfig(text: string, file: string): DockerConfig {
  try {
    return parseDockerConfig(text, "dockerconfigjson");
  } catch (error) {
    if (error instanceof InvalidDockerConfigError) {
      throw new UnusableCredentialsError(`file ${file}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

function missingEntryReason(config: DockerConfig, file: string, address: Address): string {
  const hasHelper = config.hasCredentialsStore || config.helperKeys.length > 0;
  const helper = hasHelper ? "; its credential helpers are programs that are not there in a pod" : "";
  return `file ${file} has no entry for ${address.text}${helper}`;
}

function readFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    // Node's own words name what was tried and the file.
    throw new UnusableCredentialsError(error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
}
