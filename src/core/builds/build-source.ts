/** Which Secret a builder container gets its credentials from. */
import type { BuildTarget } from "./build-target.ts";
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
  /** With a Secret of their own each, by the directory of the builders that they are for. */
  readonly connections: ReadonlyMap<string, readonly Registry[]>;
  /** All of them. */
  readonly registries: ReadonlySet<Registry>;
  /** Whether there might be more, if the labels of the namespace were known. */
  readonly isPartlyUnknown: boolean;
  /** Whether there would be more, if all credentials could be read. */
  readonly isPartlyUnreadable: boolean;
  /** Whether there would be more, if the build secret were there: something keeps it from being written. */
  readonly isBuildSecretMissing: boolean;
}

/*
 * Whether a registry's credentials are in the build secret. What is not certain is left out: a Secret that is mounted but not
 * there keeps its pod from starting, unlike a pull secret that is named but not there.
 *
 * the namespace may have it | the build secret  | its credentials can be read | in it
 * no, unknown               |                   |                             | no
 * yes                       | exists, unknown   |                             | yes: as it is, it stays
 * yes                       | missing           | no                          | no; and if there is none at all, it never comes
 * yes                       | missing, expected | yes                         | yes
 * yes                       | missing           | yes                         | no: something keeps it from being written
 */
export function buildSupplyOf(
  { namespace: { labels }, buildSecret }: Pick<PodContext, "namespace" | "buildSecret">,
  { buildRegistries }: RegistryIndex,
): BuildSupply {
  const unreadable = buildSecret?.exists === false ? buildSecret.unreadable : NONE;
  const isMissing = buildSecret?.exists === false && !buildSecret.isExpected;
  const merged: Registry[] = [];
  const connections = new Map<string, Registry[]>();
  let isPartlyUnknown = false;
  let isPartlyUnreadable = false;
  let isBuildSecretMissing = false;
  for (const registry of buildRegistries) {
    const { buildSource, name } = registry;
    if (!isPermittedIn(registry, labels)) isPartlyUnknown ||= labels === "unknown";
    else if (buildSource?.kind === "own-secret") {
      connections.getOrInsertComputed(buildSource.directory, () => []).push(registry);
    } else if (unreadable.has(name)) isPartlyUnreadable = true;
    else if (isMissing) isBuildSecretMissing = true;
    else merged.push(registry);
  }
  const registries = new Set([...merged, ...[...connections.values()].flat()]);
  return { merged, connections, registries, isPartlyUnknown, isPartlyUnreadable, isBuildSecretMissing };
}

const NONE: ReadonlySet<string> = new Set();

/** The Secret in which builders find a registry's credentials. */
export function buildSecretNameOf({ buildSource, secretName }: Registry): string {
  return buildSource?.kind === "own-secret" ? secretName : BUILD_SECRET_NAME;
}

/** The registries of a container's destinations; what is no reference is left to the builder to complain about. */
export function resolveDestinations(
  images: readonly string[],
  { registries: available }: BuildSupply,
  index: RegistryIndex,
): readonly BuildDestination[] {
  return images.flatMap((image) => {
    const reference = readImageReference(image);
    if (typeof reference === "string") return [];
    const registries = selectRegistries(index.coveringBuilds(reference), (registry) =>
      available.has(registry),
    );
    return [{ repository: repositoryName(reference), registries }];
  });
}

/** A Secret, and the registries whose credentials it holds. */
export interface BuildSecret {
  readonly secretName: string;
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
  { usualDirectory }: Builder,
  { directory }: BuildTarget,
  destinations: readonly BuildDestination[],
  { merged, connections }: BuildSupply,
): BuildSecret | undefined {
  const covering = new Set(destinations.flatMap(({ registries }) => registries));
  const directories = new Set([directory, usualDirectory ?? directory]);
  const serving = [...directories].flatMap((served) => connections.get(served) ?? []);
  const connection =
    serving.find((registry) => covering.has(registry)) ?? (merged.length === 0 ? serving[0] : undefined);
  if (connection !== undefined) {
    const { secretName } = connection;
    // Several connections may name one Secret, which then holds the credentials of all.
    const sharing = [...connections.values()].flat().filter((other) => other.secretName === secretName);
    return { secretName, registries: sharing };
  }
  return merged.length === 0 ? undefined : { secretName: BUILD_SECRET_NAME, registries: merged };
}
