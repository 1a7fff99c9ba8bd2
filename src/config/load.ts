/** Reads the configuration from the texts of its files: everything that is wrong with it at once, or all of it. */
import path from "node:path";
import { Sensitive } from "../core/credential.ts";
import { elementsOf, isObject } from "../core/kubernetes.ts";
import { BUILD_SECRET_NAME } from "../core/replication.ts";
import type { Configuration, ConfiguredRegistry, CredentialSource, TextSource } from "./configuration.ts";
import {
  formatLocation,
  InvalidConfigurationError,
  type SourceLocation,
  type Diagnostic,
} from "./diagnostics.ts";
import { readConnection, readPrivateRegistry, RegistryNames, type RegistryResult } from "./polyaxon.ts";
import {
  documentSchema,
  registrySchema,
  type AuthEntry,
  type BuilderEntry,
  type RegistryEntry,
  type SourceEntry,
} from "./schema.ts";
import { parseYamlFile, type ParsedDocument } from "./yaml-document.ts";
import { schemaDiagnostics } from "./schema-diagnostics.ts";

export interface ConfigurationFile {
  /** As given on the command line; errors name it so. */
  readonly path: string;
  readonly text: string;
}

/**
 * Joins all documents of all files. Credentials are not read: see credentials.ts.
 *
 * @throws InvalidConfigurationError with every diagnostic of every file.
 */
export function loadConfiguration(files: readonly ConfigurationFile[]): Configuration {
  const parsed = files.map((file) => ({ file, ...parseYamlFile(file.path, file.text) }));
  const diagnostics: Diagnostic[] = parsed.flatMap((file) => file.diagnostics);
  const registries: ConfiguredRegistry[] = [];
  const builders: BuilderEntry[] = [];
  const attachedServiceAccounts: string[] = [];

  for (const { file, documents } of parsed) {
    const directory = path.dirname(file.path);
    for (const document of documents) {
      const result = documentSchema.safeParse(document.value);
      if (result.success) {
        builders.push(...(result.data.builders ?? []));
        attachedServiceAccounts.push(...(result.data.serviceAccounts?.attach ?? []));
      } else {
        diagnostics.push(...schemaDiagnostics(result.error, document));
      }
      const results = readList(document, "registries", (...entry) => readRegistry(...entry, directory));
      registries.push(...results.flatMap((entry) => entry.registry ?? []));
      diagnostics.push(...results.flatMap((entry) => entry.diagnostics));
    }
  }

  const names = new RegistryNames(registries.map((registry) => registry.name));
  for (const document of parsed.flatMap((file) => file.documents)) {
    const results = [
      ...readList(document, "privateRegistries", (...entry) => readPrivateRegistry(...entry, names)),
      ...readList(document, "connections", (...entry) => readConnection(...entry, names)),
    ];
    registries.push(...results.flatMap((result) => result.registry ?? []));
    diagnostics.push(...results.flatMap((result) => result.diagnostics));
  }

  diagnostics.push(...conflictsAmong(registries));
  if (diagnostics.length > 0) throw new InvalidConfigurationError(inReadingOrder(diagnostics, files));
  return { registries, builders, attachedServiceAccounts };
}

type ReadEntry = (entry: unknown, location: SourceLocation, document: ParsedDocument) => RegistryResult;

/** Reads the entries of a list one by one, also in a document that has faults elsewhere: every diagnostic comes at once. */
function readList(document: ParsedDocument, list: string, read: ReadEntry): readonly RegistryResult[] {
  const entries = isObject(document.value) ? document.value[list] : undefined;
  return elementsOf(entries).map((entry, index) => read(entry, document.locate([list, index]), document));
}

function inReadingOrder(
  diagnostics: readonly Diagnostic[],
  files: readonly ConfigurationFile[],
): readonly Diagnostic[] {
  const order = new Map(files.map((file, index) => [file.path, index]));
  const fileOf = ({ location }: Diagnostic): number => order.get(location.file) ?? 0;
  const lineOf = ({ location }: Diagnostic): number => location.line ?? 0;
  return diagnostics.toSorted((a, b) => fileOf(a) - fileOf(b) || lineOf(a) - lineOf(b));
}

function readRegistry(
  value: unknown,
  location: SourceLocation,
  document: ParsedDocument,
  directory: string,
): RegistryResult {
  const result = registrySchema.safeParse(value);
  if (!result.success) return { diagnostics: schemaDiagnostics(result.error, document, location.path) };
  return { registry: configuredRegistry(result.data, directory, location), diagnostics: [] };
}

function configuredRegistry(
  entry: RegistryEntry,
  directory: string,
  location: SourceLocation,
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
    location,
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
    const namesake = byName.get(registry.name);
    if (namesake !== undefined) {
      const message = `a registry named ${registry.name} stands at ${formatLocation(namesake.location)} already`;
      diagnostics.push({ location: registry.location, message });
    }
    byName.set(registry.name, registry);

    if (registry.secretName === BUILD_SECRET_NAME) {
      const message = `Secret ${BUILD_SECRET_NAME} holds what builds use; give the registry another secretName`;
      diagnostics.push({ location: registry.location, message });
    }
    if (registry.source === undefined) continue;
    const other = bySecret.get(registry.secretName);
    if (other !== undefined && namesake === undefined) {
      const message = `the registry at ${formatLocation(other.location)} writes Secret ${registry.secretName} already`;
      diagnostics.push({ location: registry.location, message });
    }
    bySecret.set(registry.secretName, registry);
  }
  return diagnostics;
}
