/** Makes a configuration of the content of its files, or reports everything that is wrong with it at once. */
import path from "node:path";
import type { z } from "zod";
import { Sensitive } from "../core/credential.ts";
import { asArray, isObject } from "../core/kubernetes.ts";
import { BUILD_SECRET_NAME } from "../core/replication.ts";
import {
  configuredRegistry,
  type Configuration,
  type ConfiguredProvider,
  type ConfiguredRegistry,
  type CredentialSource,
  type TextSource,
} from "./configuration.ts";
import {
  formatLocation,
  inReadingOrder,
  InvalidConfigurationError,
  schemaDiagnostics,
  type Diagnostic,
  type LocatedValue,
} from "./diagnostics.ts";
import { readConnection, readPrivateRegistry, RegistryNames, type RegistryResult } from "./polyaxon.ts";
import { providerConflicts, providerFault, readProvider } from "./providers.ts";
import { documentSchema, registrySchema, type AuthEntry, type SourceEntry } from "./schema.ts";
import { parseYamlFile } from "./yaml-document.ts";

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
  const parsed = files.map((file) => parseYamlFile(file.path, file.text));
  const documents = parsed.flatMap((file) => file.documents);
  const settings = documents.map((document) => readSettings(document));
  const own = documents.flatMap((document) => entriesOf(document, "registries").map(readRegistry));
  const names = new RegistryNames(own.flatMap(({ registry }) => registry?.name ?? []));
  const polyaxon = documents.flatMap((document) => [
    ...entriesOf(document, "privateRegistries").map((entry) => readPrivateRegistry(entry, names)),
    ...entriesOf(document, "connections").map((entry) => readConnection(entry, names)),
  ]);
  const registries = [...own, ...polyaxon].flatMap(({ registry }) => registry ?? []);
  const listed = documents.flatMap((document) => entriesOf(document, "providers").map(readProvider));
  const providers = listed.flatMap(({ provider }) => provider ?? []);
  const results = [...parsed, ...settings, ...own, ...polyaxon, ...listed];
  const diagnostics = [
    ...results.flatMap((result) => result.diagnostics),
    ...conflictsAmong(registries),
    ...providerConflicts(providers),
    // An entry that is wrong may be the one that a registry names.
    ...(listed.length === providers.length ? providerFaults(registries, providers) : []),
  ];
  if (diagnostics.length > 0) {
    const paths = files.map((file) => file.path);
    throw new InvalidConfigurationError(inReadingOrder(diagnostics, paths));
  }
  return {
    ...{ registries, providers, isFromFiles: files.length > 0 },
    builders: settings.flatMap(({ builders = [] }) => builders),
    attachedServiceAccounts: settings.flatMap(({ serviceAccounts }) => serviceAccounts?.attach ?? []),
    podTemplates: settings.flatMap(({ podTemplates = [] }) => podTemplates),
  };
}

/** The settings of a document besides its lists of registries. */
function readSettings(
  document: LocatedValue,
): Partial<z.output<typeof documentSchema>> & { readonly diagnostics: readonly Diagnostic[] } {
  const { data, error } = documentSchema.safeParse(document.value);
  return { ...data, diagnostics: error === undefined ? [] : schemaDiagnostics(error, document) };
}

/** The entries of a list. They are read one by one, even in a document with errors elsewhere, to report every error at once. */
function entriesOf({ value, locate }: LocatedValue, list: string): readonly LocatedValue[] {
  const entries = isObject(value) ? value[list] : undefined;
  return asArray(entries).map((entry, index) => ({
    value: entry,
    locate: (path) => locate([list, index, ...path]),
  }));
}

function readRegistry(entry: LocatedValue): RegistryResult {
  const { data, error } = registrySchema.safeParse(entry.value);
  if (error !== undefined) return { diagnostics: schemaDiagnostics(error, entry) };
  const directory = path.dirname(entry.locate([]).file);
  const source = data.auth === undefined ? undefined : credentialSource(data.auth, directory);
  return {
    registry: configuredRegistry(data, { source, list: "registries", locate: entry.locate }),
    diagnostics: [],
  };
}

function credentialSource(auth: AuthEntry, directory: string): CredentialSource {
  switch (auth.type) {
    case "BasicAuth": {
      const { username, password, passwordFrom } = auth;
      return { kind: "password", username, secret: textSource(password, passwordFrom, directory) };
    }
    case "Token": {
      const { username, token, tokenFrom } = auth;
      return { kind: "token", username, secret: textSource(token, tokenFrom, directory) };
    }
    case "DockerConfig":
      return { kind: "docker-config", path: path.resolve(directory, auth.file) };
    case "Secret":
      return { kind: "secret", name: auth.name, namespace: auth.namespace };
    case "Provider":
      return { kind: "provider", provider: auth.provider };
  }
}

function providerFaults(
  registries: readonly ConfiguredRegistry[],
  providers: readonly ConfiguredProvider[],
): readonly Diagnostic[] {
  return registries.flatMap((registry) => {
    const fault = providerFault(registry, providers);
    return fault === undefined ? [] : { location: registry.locate(fault.field), message: fault.message };
  });
}

/** The schema ensures that there is exactly one of the three. */
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
