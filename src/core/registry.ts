/** Registries, and which of them an image needs. */
import { addressCovers, compareSpecificity, splitRepository, type Address } from "./address.ts";
import { repositoryName, type ImageReference } from "./image-reference.ts";
import { selectorMatches, type Labels, type LabelSelector } from "./labels.ts";

/** What a registry's credentials serve: pulls by kubelet, pushes and pulls inside build pods. */
export type Use = "pull" | "build";

/** What the decision needs of one entry of the configuration. */
export interface Registry {
  readonly name: string;
  readonly address: Address;
  /** The pull secret that pods name. */
  readonly secretName: string;
  readonly use: readonly Use[];
  /** Which opted-in namespaces may have it; all of them if undefined. */
  readonly namespaces: LabelSelector | undefined;
}

/** Registries prepared for matching. Lookups cost the number of addresses on the image's host, plus the wildcards. */
export interface RegistryIndex {
  /** All registries that serve pulls, in the order of the configuration. */
  readonly registries: readonly Registry[];
  readonly byName: ReadonlyMap<string, Registry>;
  /** Registries of hosts without `*`, most specific address first, by host and port as text. */
  readonly byAuthority: ReadonlyMap<string, readonly Registry[]>;
  /** Registries whose host holds a `*`, most specific address first. */
  readonly wildcards: readonly Registry[];
}

/** Prepares registries for {@link matchRegistries}; those that serve builds alone never match. */
export function indexRegistries(configured: readonly Registry[]): RegistryIndex {
  const registries = configured.filter((registry) => registry.use.includes("pull"));
  const mostSpecificFirst = registries.toSorted((a, b) => compareSpecificity(a.address, b.address));
  const byAuthority = new Map<string, Registry[]>();
  for (const registry of mostSpecificFirst) {
    if (registry.address.isWildcard) continue;
    const sameHost = byAuthority.get(registry.address.authority);
    if (sameHost === undefined) byAuthority.set(registry.address.authority, [registry]);
    else sameHost.push(registry);
  }
  return {
    registries,
    byName: new Map(registries.map((registry) => [registry.name, registry])),
    byAuthority,
    wildcards: mostSpecificFirst.filter((registry) => registry.address.isWildcard),
  };
}

/**
 * The registries that an image needs: those of the most specific address that covers it, in configuration order. Only
 * registries that `isPermitted` count, so that a registry kept from this namespace does not hide a wider one.
 */
export function matchRegistries(
  index: RegistryIndex,
  reference: ImageReference,
  isPermitted: (registry: Registry) => boolean,
): readonly Registry[] {
  const repository = splitRepository(repositoryName(reference));
  const covers = (registry: Registry): boolean =>
    addressCovers(registry.address, repository) && isPermitted(registry);

  const exact = index.byAuthority.get(repository.authority);
  const best = moreSpecific(exact?.find(covers), index.wildcards.find(covers));
  if (best === undefined) return [];
  const sameHost = best.address.isWildcard ? index.wildcards : (exact ?? []);
  return sameHost.filter(
    (registry) => registry.address.text === best.address.text && isPermitted(registry),
  );
}

/**
 * Whether a namespace may have a registry. Labels that are not known (there is no cluster to ask) do not keep a
 * registry away: naming a secret that the namespace does not have gives nothing away.
 */
export function isPermittedIn(registry: Registry, labels: Labels | "unknown"): boolean {
  return registry.namespaces === undefined || labels === "unknown" || selectorMatches(registry.namespaces, labels);
}

function moreSpecific(exact: Registry | undefined, wildcard: Registry | undefined): Registry | undefined {
  if (exact === undefined || wildcard === undefined) return exact ?? wildcard;
  return compareSpecificity(exact.address, wildcard.address) <= 0 ? exact : wildcard;
}
