/** Which Secret a builder container gets its credentials from. */
import type { BuildTarget } from "./build-target.ts";
import { normalisePath } from "./build-container.ts";
import type { BuildDestination } from "./build-decision.ts";
import type { Builder } from "./builders.ts";
import type { PodContext } from "../kubernetes.ts";
import { readImageReference, repositoryName } from "../image-reference.ts";
import { isPermittedIn, selectRegistries, type Registry, type RegistryIndex } from "../registry.ts";
import { BUILD_SECRET_NAME } from "../replication.ts";

/** What a namespace has for builds. */
export interface BuildSupply {
  /** In the build secret; there is one if there are any. */
  readonly merged: readonly Registry[];
  /** With a Secret of their own each, for the builders that read the directory. */
  readonly connections: readonly { readonly registry: Registry; readonly directory: string }[];
  /** Whether there might be more, if the labels of the namespace were known. */
  readonly isPartlyUnknown: boolean;
  /** Whether there would be more, if all credentials could be read. */
  readonly isPartlyUnreadable: boolean;
}

/*
 * Whether a registry's credentials are in the build secret. What is not certain is left out: a Secret that is mounted but not
 * there keeps its pod from starting, unlike a pull secret that is named but not there.
 *
 * the namespace may have it | the build secret | its credentials can be read | in it
 * no, unknown               |                  |                             | no
 * yes                       | exists, unknown  |                             | yes: as it is, it stays
 * yes                       | to come          | yes                         | yes
 * yes                       | to come          | no                          | no; and if there is none at all, it never comes
 */
export function buildSupplyOf(
  { namespace: { labels }, buildSecret }: Pick<PodContext, "namespace" | "buildSecret">,
  { buildRegistries }: RegistryIndex,
): BuildSupply {
  const certain = buildRegistries.filter(
    (registry) =>
      registry.namespaces === undefined || (labels !== "unknown" && isPermittedIn(registry, labels)),
  );
  const merged = certain.filter(({ buildSource }) => buildSource?.kind === "build-secret");
  const unreadable = buildSecret?.exists === false ? buildSecret.unreadable : NONE;
  const readable = unreadable.size === 0 ? merged : merged.filter(({ name }) => !unreadable.has(name));
  return {
    merged: readable,
    connections: certain.flatMap((registry) =>
      registry.buildSource?.kind === "own-secret"
        ? { registry, directory: normalisePath(registry.buildSource.directory) }
        : [],
    ),
    isPartlyUnknown: labels === "unknown" && certain.length < buildRegistries.length,
    isPartlyUnreadable: readable.length < merged.length,
  };
}

const NONE: ReadonlySet<string> = new Set();

/** The registries of a container's destinations; what is no reference is left to the builder to complain about. */
export function resolveDestinations(
  images: readonly string[],
  { merged, connections }: BuildSupply,
  index: RegistryIndex,
): readonly BuildDestination[] {
  const supply = new Set([...merged, ...connections.map(({ registry }) => registry)]);
  return images.flatMap((image) => {
    const reference = readImageReference(image);
    if (typeof reference === "string") return [];
    const registries = selectRegistries(index.coveringBuilds(reference), (registry) => supply.has(registry));
    return [{ repository: repositoryName(reference), registries }];
  });
}

/** A Secret, and the registries whose credentials it holds. */
export interface BuildSecret {
  readonly secretName: string;
  readonly isBuildSecret: boolean;
  readonly registries: readonly Registry[];
}

/*
 * A connection serves a builder if its mount path is the builder's directory. Nobody says which namespaces have its Secret, and
 * a pod whose Secret is not there never starts: in doubt it is the build secret, of which that is known.
 *
 * connection serves it | and covers a destination | build secret there | the container gets
 * no                   |                          | no                 | nothing
 * no                   |                          | yes                | the build secret
 * yes                  | yes                      |                    | that connection's Secret
 * yes                  | no                       | yes                | the build secret
 * yes                  | no                       | no                 | the first one's Secret
 */
export function chooseSecret(
  builder: Builder,
  { directory }: BuildTarget,
  destinations: readonly BuildDestination[],
  { merged, connections }: BuildSupply,
): BuildSecret | undefined {
  const covering = new Set(destinations.flatMap(({ registries }) => registries));
  const serving = connections
    .filter(
      (connection) => connection.directory === directory || connection.directory === builder.usualDirectory,
    )
    .map(({ registry }) => registry);
  const connection =
    serving.find((registry) => covering.has(registry)) ?? (merged.length === 0 ? serving[0] : undefined);
  if (connection !== undefined) {
    const { secretName } = connection;
    // Several connections may name one Secret, which then holds the credentials of all.
    const sharing = connections.filter(({ registry }) => registry.secretName === secretName);
    return { secretName, isBuildSecret: false, registries: sharing.map(({ registry }) => registry) };
  }
  if (merged.length === 0) return undefined;
  return { secretName: BUILD_SECRET_NAME, isBuildSecret: true, registries: merged };
}
