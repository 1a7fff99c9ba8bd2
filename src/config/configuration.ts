/** The configuration once it is read: registries with the sources of their credentials, not the credentials. */
import { coveredHosts } from "../core/address.ts";
import type { Sensitive } from "../core/credential.ts";
import type { CredentialProvider } from "../core/credential-provider.ts";
import { indexRegistries, type RegistryIndex, type ReplicatedRegistry } from "../core/registry.ts";
import type { OfferedContent } from "../core/source-secret.ts";
import type { KeyPath, SourceLocation } from "./diagnostics.ts";
import type { BuilderEntry, PodTemplateEntry, RegistryEntry } from "./schema.ts";

/** Where a password or a token comes from. */
export type TextSource =
  | { readonly kind: "inline"; readonly value: Sensitive }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "environment"; readonly variable: string };

/** Where the credentials of a registry come from. */
export type CredentialSource =
  /** `kind` is the field of `auth` that they are in. Without a user name it is the one that the vendor expects with a token. */
  | {
      readonly kind: "password" | "token";
      readonly username: string | undefined;
      readonly secret: TextSource;
    }
  | { readonly kind: "docker-config"; readonly path: string }
  | { readonly kind: "secret"; readonly name: string; readonly namespace: string | undefined }
  /** The name of the provider. */
  | { readonly kind: "provider"; readonly provider: string }
  /** A ClusterRegistry's: a Secret in Pullpass's own namespace that is offered by its label. */
  | ({ readonly kind: "offered-secret"; readonly name: string } & OfferedContent);

/** A source that takes a cluster to read. */
export type SecretSource = Extract<CredentialSource, { readonly kind: "secret" | "offered-secret" }>;

export interface ConfiguredRegistry extends ReplicatedRegistry {
  readonly displayName: string | undefined;
  /** Undefined if an admin keeps the pull secret in the namespaces. */
  readonly source: CredentialSource | undefined;
  /** The list of the configuration that it is in. */
  readonly list: "registries" | "privateRegistries" | "connections" | "objects";
  /** Where one of its fields is, or the entry itself. */
  readonly locate: (field: KeyPath) => SourceLocation;
}

export interface ConfiguredProvider extends CredentialProvider {
  /** Where one of its fields is, or the entry itself. */
  readonly locate: (field: KeyPath) => SourceLocation;
}

const AUTH_TYPES = {
  password: "BasicAuth",
  token: "Token",
  "docker-config": "DockerConfig",
  secret: "Secret",
  provider: "Provider",
} as const;

/** As the schema names it; undefined for a registry whose Secret an admin keeps. */
export function authTypeOf({
  source,
}: Pick<ConfiguredRegistry, "source">): (typeof AUTH_TYPES)[keyof typeof AUTH_TYPES] | undefined {
  if (source === undefined) return undefined;
  return source.kind === "offered-secret" ? source.type : AUTH_TYPES[source.kind];
}

/** What holds for a registry whose entry does not say otherwise. */
export const REGISTRY_DEFAULTS = {
  displayName: undefined,
  use: ["pull", "build"],
  namespaces: undefined,
  source: undefined,
  hosts: [],
  buildSource: undefined,
} as const satisfies Partial<ConfiguredRegistry>;

/**
 * A registry by its entry, of the file or of an object. It puts something into the build secret of its namespaces unless it is for
 * pulls alone. A host with `*` does not by itself: builders know none, and a pod would wait for a Secret that is never written.
 */
export function configuredRegistry(
  entry: Omit<RegistryEntry, "auth">,
  origin: Pick<ConfiguredRegistry, "source" | "list" | "locate">,
): ConfiguredRegistry {
  const { name, displayName, address, namespaces, hosts = [], use = REGISTRY_DEFAULTS.use } = entry;
  const hasHosts = !address.isWildcard || coveredHosts(address, hosts).length > 0;
  return {
    ...{ name, displayName, address, namespaces, hosts, use },
    secretName: entry.secretName ?? `pullpass-${name}`,
    buildSource:
      origin.source !== undefined && hasHosts && use.includes("build") ? { kind: "build-secret" } : undefined,
    ...origin,
  };
}

export interface Configuration {
  readonly registries: readonly ConfiguredRegistry[];
  readonly providers: readonly ConfiguredProvider[];
  /** False where no file was given: which providers there are is not known then. */
  readonly isFromFiles: boolean;
  readonly builders: readonly BuilderEntry[];
  readonly attachedServiceAccounts: readonly string[];
  readonly podTemplates: readonly PodTemplateEntry[];
}

/** Prepares a configuration for lookups. Where nobody writes build secrets, a pod that mounts one would wait for it in vain. */
export function indexConfiguration(
  { registries, builders }: Pick<Configuration, "registries" | "builders">,
  isReplicated: boolean,
): RegistryIndex {
  return indexRegistries(isReplicated ? registries : registries.map(withoutBuildSecret), builders);
}

/** An admin keeps a connection's own Secret: it stays. */
function withoutBuildSecret(registry: ConfiguredRegistry): ConfiguredRegistry {
  return registry.buildSource?.kind === "build-secret" ? { ...registry, buildSource: undefined } : registry;
}
