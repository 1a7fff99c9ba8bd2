/** Prepares a configuration for lookups. */
import type { Configuration } from "../config/configuration.ts";
import { indexRegistries, type Registry, type RegistryIndex } from "../core/registry.ts";

/** Unless copies are written, nobody writes build secrets, and a pod that mounts one would wait for it in vain. */
export function indexConfiguration(
  { registries, builders }: Pick<Configuration, "registries" | "builders">,
  isReplicated: boolean,
): RegistryIndex {
  return indexRegistries(isReplicated ? registries : registries.map(withoutBuildSecret), builders);
}

/** A connection's own Secret is kept by an admin, and stays. */
function withoutBuildSecret<T extends Registry>(registry: T): T {
  return registry.buildSource?.kind === "build-secret" ? { ...registry, buildSource: undefined } : registry;
}
