/** Registries as the configuration makes them, from what a test cares about. */
import { parseAddress } from "../../src/core/address.ts";
import { indexRegistries, type Registry, type RegistryIndex } from "../../src/core/registry.ts";

export function makeRegistry(name: string, address: string, rest: Partial<Registry> = {}): Registry {
  return {
    name,
    address: parseAddress(address),
    secretName: `${name}-creds`,
    use: ["pull", "build"],
    namespaces: undefined,
    buildSource: { kind: "build-secret" },
    ...rest,
  };
}

/** Names for those that have an address alone: the address itself. */
export function indexOf(...registries: readonly (string | Registry)[]): RegistryIndex {
  return indexRegistries(
    registries.map((entry) => (typeof entry === "string" ? makeRegistry(entry, entry) : entry)),
  );
}
