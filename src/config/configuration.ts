/** The configuration once it is read: registries with the sources of their credentials, not the credentials. */
import type { Address } from "../core/address.ts";
import type { Sensitive } from "../core/credential.ts";
import { indexRegistries, type Registry, type RegistryIndex } from "../core/registry.ts";
import type { KeyPath, SourceLocation } from "./diagnostics.ts";
import type { BuilderEntry, PodTemplateEntry } from "./schema.ts";

/** Where a password or a token comes from. */
export type TextSource =
  | { readonly kind: "inline"; readonly value: Sensitive }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "environment"; readonly variable: string };

/** Where the credentials of a registry come from. */
export type CredentialSource =
  | { readonly kind: "basic"; readonly username: string; readonly password: TextSource }
  | { readonly kind: "token"; readonly username: string | undefined; readonly token: TextSource }
  | { readonly kind: "docker-config"; readonly path: string }
  | { readonly kind: "secret"; readonly name: string; readonly namespace: string | undefined };

export interface ConfiguredRegistry extends Registry {
  readonly displayName: string | undefined;
  /** Undefined if an admin keeps the pull secret in the namespaces. */
  readonly source: CredentialSource | undefined;
  /** The concrete hosts behind an address with `*`. */
  readonly hosts: readonly Address[];
  /** The list of the configuration that it is in. */
  readonly list: "registries" | "privateRegistries" | "connections";
  /** Where one of its fields is, or the entry itself. */
  readonly locate: (field: KeyPath) => SourceLocation;
}

export interface Configuration {
  readonly registries: readonly ConfiguredRegistry[];
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
