/** Reads the configuration from the texts of its files: everything that is wrong with it at once, or all of it. */
import path from "node:path";
import { Sensitive } from "../core/credential.ts";
import { asArray, isObject } from "../core/kubernetes.ts";
import { BUILD_SECRET_NAME } from "../core/replication.ts";
import type { Configuration, ConfiguredRegistry, CredentialSource, TextSource } from "./configuration.ts";
import { formatLocation, inReadingOrder, InvalidConfigurationError, type Diagnostic } from "./diagnostics.ts";
import { readConnection, readPrivateRegistry, RegistryNames, type RegistryResult } from "./polyaxon.ts";
import {
  documentSchema,
  registrySchema,
  type AuthEntry,
  type BuilderEntry,
  type PodTemplateEntry,
  type RegistryEntry,
  type SourceEntry,
} from "./schema.ts";
import { schemaDiagnostics } from "./schema-diagnostics.ts";
import { parseYamlFile, type LocatedValue } from "./yaml-document.ts";

export interface ConfigurationFile {
  /** As given on the command line; errors name it so. */
  readonly path: string;
  readonly text: string;
}

/**
 * Joins all documents of all files. Credentials are not read: see credentials.ts.
 *
 * @throws InvalidConfigurationError with every error of every file.
 */
export function loadConfiguration(files: readonly ConfigurationFile[]): Configuration {
  const parsed = files.map((file) => ({ file, ...parseYamlFile(file.path, file.text) }));
  const diagnostics: Diagnostic[] = parsed.flatMap((file) => file.diagnostics);
  const registries: ConfiguredRegistry[] = [];
  const builders: BuilderEntry[] = [];
  const attachedServiceAccounts: string[] = [];
  const podTemplates: PodTemplateEntry[] = [];

  for (const { file, documents } of parsed) {
    const directory = path.dirname(file.path);
    for (const document of documents) {
      const result = documentSchema.safeParse(document.value);
      if (result.success) {
        builders.push(...(result.data.builders ?? []));
        attachedServiceAccounts.push(...(result.data.serviceAccounts?.attach ?? []));
        podTemplates.push(...(result.data.podTemplates ?? []));
      } else {
        diagnostics.push(...schemaDiagnostics(result.error, document));
      }
      const results = entriesOf(document, "registries").map((entry) => readRegistry(entry, directory));
      registries.push(...results.flatMap((result) => result.registry ?? []));
      diagnostics.push(...results.flatMap((result) => result.diagnostics));
    }
  }

  const names = new RegistryNames(registries.map((registry) => registry.name));
  for (const document of parsed.flatMap((file) => file.documents)) {
    const results = [
      ...entriesOf(document, "privateRegistries").map((entry) => readPrivateRegistry(entry, names)),
      ...entriesOf(document, "connections").map((entry) => readConnection(entry, names)),
    ];
    registries.push(...results.flatMap((result) => result.registry ?? []));
    diagnostics.push(...results.flatMap((result) => result.diagnostics));
  }

  diagnostics.push(...conflictsAmong(registries));
  if (diagnostics.length > 0) {
    const paths = files.map((file) => file.path);
    throw new InvalidConfigurationError(inReadingOrder(diagnostics, paths));
  }
  return { registries, builders, attachedServiceAccounts, podTemplates };
}

/** The entries of a list. They are read one by one, also in a document that has errors elsewhere: every error comes at once. */
function entriesOf({ value, locate }: LocatedValue, list: string): readonly LocatedValue[] {
  const entries = isObject(value) ? value[list] : undefined;
  return asArray(entries).map((entry, index) => ({
    value: entry,
    locate: (path) => locate([list, index, ...path]),
  }));
}

function readRegistry(entry: LocatedValue, directory: string): RegistryResult {
  const result = registrySchema.safeParse(entry.value);
  if (!result.success) return { diagnostics: schemaDiagnostics(result.error, entry) };
  return { registry: configuredRegistry(result.data, directory, entry.locate), diagnostics: [] };
}

function configuredRegistry(
  entry: RegistryEntry,
  directory: string,
  locate: ConfiguredRegistry["locate"],
): ConfiguredRegistry {
  return {
    name: entry.name,
    displayName: entry.displayName,
    address: entry.address,
    secretName: entry.secretName ?? `pullpass-${entry.name}`,
    use: entry.use ?? ["pull", "build"],
    namespaces: entry.namespaces,
    source: entry.auth === undefined ? undefined : credentialSource(entry.auth, directory),
    hosts: entry.hosts ?? [],
    buildSource: buildSource(entry),
    list: "registries",
    locate,
  };
}

/**
 * Whether the registry puts something into the build secret of its namespaces. A host with `*` does not by itself: builders know
 * none, and a pod would wait for a Secret that is never written.
 */
function buildSource({ auth, use, address, hosts = [] }: RegistryEntry): ConfiguredRegistry["buildSource"] {
  const hasCredentials = auth !== undefined && (!address.isWildcard || hosts.length > 0);
  return hasCredentials && use?.includes("build") !== false ? { kind: "build-secret" } : undefined;
}

function credentialSource(auth: AuthEntry, directory: string): CredentialSource {
  switch (auth.type) {
    case "BasicAuth":
      return {
        kind: "basic",
        username: auth.username,
        password: textSource(auth.password, auth.passwordFrom, directory),
      };
    case "Token":
      return {
        kind: "token",
        username: auth.username,
        token: textSource(auth.token, auth.tokenFrom, directory),
      };
    case "DockerConfig":
      return { kind: "docker-config", path: path.resolve(directory, auth.file) };
    case "Secret":
      return { kind: "secret", name: auth.name, namespace: auth.namespace };
  }
}

/** The schema holds exactly one of the three. */
function textSource(
  inline: string | undefined,
  from: SourceEntry | undefined,
  directory: string,
): TextSource {
  if (from?.env !== undefined) return { kind: "environment", variable: from.env };
  if (from?.file !== undefined) return { kind: "file", path: path.resolve(directory, from.file) };
  return { kind: "inline", value: new Sensitive(inline ?? "") };
}

/** Names are unique, the build secret's name is taken, and two registries with credentials of their own do not write one Secret. */
function conflictsAmong(registries: readonly ConfiguredRegistry[]): readonly Diagnostic[] {
  const byName = new Map<string, ConfiguredRegistry>();
  const bySecret = new Map<string, ConfiguredRegistry>();
  const diagnostics: Diagnostic[] = [];
  for (const registry of registries) {
    const { name, secretName, locate } = registry;
    const namesake = byName.get(name);
    if (namesake !== undefined) {
      const message = `the registry at ${locationOf(namesake)} has this name already`;
      diagnostics.push({ location: locate(["name"]), message });
    }
    byName.set(name, registry);

    if (secretName === BUILD_SECRET_NAME) {
      const message = `Secret ${BUILD_SECRET_NAME} is for builders; choose another name`;
      diagnostics.push({ location: locate(["secretName"]), message });
    }
    if (registry.source === undefined) continue;
    const other = bySecret.get(secretName);
    if (other !== undefined && namesake === undefined) {
      const message = `the registry at ${locationOf(other)} writes Secret ${secretName} already`;
      diagnostics.push({ location: locate([]), message });
    }
    bySecret.set(secretName, registry);
  }
  return diagnostics;
}

function locationOf(registry: ConfiguredRegistry): string {
  return formatLocation(registry.locate([]));
}
