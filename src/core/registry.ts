/** Registries, and which of them an image needs. */
import { addressCovers, compareSpecificity, splitRepository, type Address } from "./address.ts";
import type { Builder } from "./builds/builders.ts";
import {
  IMAGE_REFERENCE_FAULTS,
  readImageReference,
  repositoryName,
  type ImageReference,
} from "./image-reference.ts";
import { selectorMatches, type Labels, type LabelSelector } from "./labels.ts";
import {
  listBuilders,
  recogniseBuilder,
  type ConfiguredBuilder,
  type RecognisedBuilder,
} from "./builds/recognise-builder.ts";
import { rememberLookups } from "./remember-lookups.ts";

/** What a registry's credentials serve: pulls by kubelet, pushes and pulls inside build pods. */
export type Use = "pull" | "build";

/** Where the credentials are that build pods get. */
export type BuildSource =
  /** Merged with others into the one build secret of the namespace. */
  | { readonly kind: "build-secret" }
  /** In the registry's own Secret, for the builders that read this directory, as a Polyaxon connection says. */
  | { readonly kind: "own-secret"; readonly directory: string };

/** What the decision needs of one entry of the configuration. */
export interface Registry {
  readonly name: string;
  readonly address: Address;
  /** The pull secret that pods name. */
  readonly secretName: string;
  readonly use: readonly Use[];
  /** Which opted-in namespaces may have it; all of them if undefined. */
  readonly namespaces: LabelSelector | undefined;
  /** Undefined if there is nothing for build pods: another use, or no credentials that could be merged. */
  readonly buildSource: BuildSource | undefined;
}

/** What is known of an image, whatever pod it stands in. */
export type ImageLookup =
  | {
      readonly kind: "parsed";
      readonly reference: ImageReference;
      /** All registries that cover the image, most specific address first, equal ones in configuration order. */
      readonly covering: readonly Registry[];
      /** Undefined if its repository is that of no builder. */
      readonly builder: RecognisedBuilder | undefined;
    }
  | { readonly kind: "invalid"; readonly reason: string };

/** Registries prepared for lookups. */
export interface RegistryIndex {
  /** All registries that serve pulls, in the order of the configuration. */
  readonly registries: readonly Registry[];
  readonly byName: ReadonlyMap<string, Registry>;
  /** Those that have something for build pods, in the order of the configuration. */
  readonly buildRegistries: readonly Registry[];
  /** Parses an image and finds what covers it. Does not throw. */
  lookUp(image: string): ImageLookup;
  /** As `covering` of a lookup, of those that have something for build pods. */
  coveringBuilds(reference: ImageReference): readonly Registry[];
}

/** Prepares registries and builders for lookups; registries that serve builds alone cover no image of a pod. */
export function indexRegistries(
  configured: readonly Registry[],
  builders: readonly ConfiguredBuilder[] = [],
): RegistryIndex {
  const registries = configured.filter((registry) => registry.use.includes("pull"));
  const buildRegistries = configured.filter((registry) => registry.buildSource !== undefined);
  const forBuilds = sortBySpecificity(buildRegistries);
  return {
    registries,
    byName: new Map(registries.map((registry) => [registry.name, registry])),
    buildRegistries,
    lookUp: rememberLookups(imageLookup(sortBySpecificity(registries), listBuilders(builders))),
    coveringBuilds: (reference) => covering(forBuilds, reference),
  };
}

function sortBySpecificity(registries: readonly Registry[]): readonly Registry[] {
  return registries.toSorted((a, b) => compareSpecificity(a.address, b.address));
}

function covering(mostSpecificFirst: readonly Registry[], reference: ImageReference): readonly Registry[] {
  const repository = splitRepository(repositoryName(reference));
  return mostSpecificFirst.filter((registry) => addressCovers(registry.address, repository));
}

/** A configuration gives a few combinations; only patterns for hosts could give more. */
const MAX_SHARED_LISTS = 64;

/** Images that the same registries cover share one list of them, so that a pod's images are told to need the same. */
function imageLookup(
  mostSpecificFirst: readonly Registry[],
  builders: readonly Builder[],
): (image: string) => ImageLookup {
  const shared: (readonly Registry[])[] = [];
  return (image) => {
    const reference = readImageReference(image);
    if (typeof reference === "string") return { kind: "invalid", reason: IMAGE_REFERENCE_FAULTS[reference] };
    const found = covering(mostSpecificFirst, reference);
    const list = shared.find((other) => isSameList(other, found)) ?? found;
    if (list === found && shared.length < MAX_SHARED_LISTS) shared.push(found);
    return { kind: "parsed", reference, covering: list, builder: recogniseBuilder(reference, builders) };
  };
}

function isSameList(one: readonly Registry[], other: readonly Registry[]): boolean {
  return one.length === other.length && one.every((registry, position) => registry === other[position]);
}

/**
 * The registries that an image needs, of those that cover it: all of the most specific address, in configuration order.
 * Only registries that `isPermitted` count, so that one kept from this namespace does not hide a wider one.
 */
export function selectRegistries(
  covering: readonly Registry[],
  isPermitted: (registry: Registry) => boolean,
): readonly Registry[] {
  const selected: Registry[] = [];
  for (const registry of covering) {
    const best = selected[0] ?? registry;
    if (registry.address.text === best.address.text && isPermitted(registry)) selected.push(registry);
  }
  return selected;
}

/**
 * Whether a namespace may have a registry. Labels that are not known (there is no cluster to ask) do not keep a
 * registry away: naming a secret that the namespace does not have gives nothing away.
 */
export function isPermittedIn(registry: Registry, labels: Labels | "unknown"): boolean {
  return (
    registry.namespaces === undefined || labels === "unknown" || selectorMatches(registry.namespaces, labels)
  );
}
