/** Registries, and which of them an image needs. */
import { indexAddresses, type Covering } from "./address-index.ts";
import { splitRepository, type Address } from "./address.ts";
import { IMAGE_REFERENCE_FAULTS, readImageReference, type ImageReference } from "./image-reference.ts";
import { selectorMatches, type Labels, type LabelSelector } from "./labels.ts";
import {
  indexBuilders,
  listBuilders,
  type ConfiguredBuilder,
  type RecognisedBuilder,
} from "./builds/builders.ts";

/** What a registry's credentials serve: pulls by kubelet, pushes and pulls inside build pods. */
export type Use = "pull" | "build";

/** Where the credentials are that build pods get. */
export type BuildSource =
  /** Merged with others into the one build secret of the namespace. */
  | { readonly kind: "build-secret" }
  /** In the registry's own Secret, for the builders that read this directory (normalised), as a Polyaxon connection says. */
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

/** An entry of the configuration, as far as copies need it. */
export interface ReplicatedRegistry extends Registry {
  /** The concrete hosts behind an address with `*`. */
  readonly hosts: readonly Address[];
}

/** What is known of an image, whatever pod it stands in. */
export type ImageLookup =
  | {
      readonly kind: "parsed";
      readonly reference: ImageReference;
      /** All registries that cover the image, by address. Images that have an address in common have its list in common. */
      readonly covering: Covering<Registry>;
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
  coveringBuilds(reference: ImageReference): Covering<Registry>;
}

/** Prepares registries and builders for lookups; registries that serve builds alone cover no image of a pod. */
export function indexRegistries(
  configured: readonly Registry[],
  builders: readonly ConfiguredBuilder[] = [],
): RegistryIndex {
  const registries = configured.filter((registry) => registry.use.includes("pull"));
  const buildRegistries = configured.filter((registry) => registry.buildSource !== undefined);
  const findCovering = lookupByReference(registries);
  const findBuilder = indexBuilders(listBuilders(builders));
  return {
    registries,
    byName: new Map(registries.map((registry) => [registry.name, registry])),
    buildRegistries,
    lookUp: rememberLookups((image) => {
      const reference = readImageReference(image);
      if (typeof reference === "string") {
        return { kind: "invalid", reason: IMAGE_REFERENCE_FAULTS[reference] };
      }
      return {
        kind: "parsed",
        reference,
        covering: findCovering(reference),
        builder: findBuilder(reference),
      };
    }),
    coveringBuilds: lookupByReference(buildRegistries),
  };
}

/** A cluster runs far fewer images than this, and the replicas of a pod have the same ones. */
const MAX_REMEMBERED = 4096;
/** Longer strings are rare, and not references that anybody could pull. */
const MAX_REMEMBERED_LENGTH = 512;

/**
 * Remembers what was looked up, which saves 2.0 of the 31 µs that a review of three images takes in the program
 * (docs/benchmarks.md). The only memo on this path.
 */
function rememberLookups(lookUp: RegistryIndex["lookUp"]): RegistryIndex["lookUp"] {
  const remembered = new Map<string, ImageLookup>();
  return (image) => {
    if (image.length > MAX_REMEMBERED_LENGTH) return lookUp(image);
    return remembered.getOrInsertComputed(image, () => {
      if (remembered.size >= MAX_REMEMBERED) remembered.clear();
      return lookUp(image);
    });
  };
}

function lookupByReference(
  registries: readonly Registry[],
): (reference: ImageReference) => Covering<Registry> {
  const findCovering = indexAddresses(registries);
  return (reference) => {
    const { domain, path } = reference;
    return findCovering(domain === "" ? splitRepository(path) : { authority: domain, path });
  };
}

/**
 * The registries that an image needs, of those that cover it: all of the most specific address, in configuration order.
 * Only registries that `isPermitted` count, so that one kept from this namespace does not hide a wider one.
 */
export function selectRegistries(
  covering: Covering<Registry>,
  isPermitted: (registry: Registry) => boolean,
): readonly Registry[] {
  for (const withOneAddress of covering) {
    const permitted = withOneAddress.filter(isPermitted);
    if (permitted.length > 0) return permitted;
  }
  return [];
}

/**
 * Whether a namespace may have a registry. Where its labels are not known, it may have what every namespace may: the name of
 * any other registry is not ours to tell.
 */
export function isPermittedIn(registry: Registry, labels: Labels | "unknown"): boolean {
  if (registry.namespaces === undefined) return true;
  return labels !== "unknown" && selectorMatches(registry.namespaces, labels);
}
