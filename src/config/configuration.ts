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
  /** `kind` is the field of `auth` that they are in. Without a user name it is the one that the vendor expects with a token. */
  | {
      readonly kind: "password" | "token";
      readonly username: string | undefined;
      readonly secret: TextSource;
    }
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

/** What holds for a registry whose entry does not say otherwise. */
export const REGISTRY_DEFAULTS = {
  displayName: undefined,
  use: ["pull", "build"],
  namespaces: undefined,
  source: undefined,
  hosts: [],
  buildSource: undefined,
} as const satisfies Partial<ConfiguredRegistry>;

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
