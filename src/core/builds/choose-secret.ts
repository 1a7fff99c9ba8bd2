/** Which images a builder container pushes, and which Secret it gets its credentials from. */
import type { ConfigPath } from "./config-path.ts";
import type { BuildDestination } from "../decision.ts";
import type { Builder, DestinationSyntax } from "./builders.ts";
import type { PodContext } from "../kubernetes.ts";
import { readImageReference, repositoryName } from "../image-reference.ts";
import { isPermittedIn, selectRegistries, type Registry, type RegistryIndex } from "../registry.ts";
import { BUILD_SECRET_NAME } from "../replication.ts";

/** What a namespace has for builds. */
export interface AvailableCredentials {
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
export function availableCredentialsFor(
  { namespace: { labels }, buildSecret }: Pick<PodContext, "namespace" | "buildSecret">,
  { buildRegistries }: RegistryIndex,
): AvailableCredentials {
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

/** The registries of a container's destinations; a destination that is not a reference is left to the builder to report. */
export function resolveDestinations(
  images: readonly string[],
  { registries: available }: AvailableCredentials,
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
  { directory }: ConfigPath,
  destinations: readonly BuildDestination[],
  { merged, connections }: AvailableCredentials,
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

/*
 * builder                              | flags
 * kaniko                               | --destination, -d, --cache-repo
 * dockerizer                           | --destination, -d
 * buildah, podman, docker, img, crane  | --tag, -t, of a build; `docker run -t` is another -t
 * buildctl                             | name= in --output, -o of type image
 * any other                            | --destination, --cache-repo, --tag
 *
 * Each as `--flag=value`, `--flag value`, `-f=value`, `-f value` and `-fvalue`.
 */
const FLAGS: Readonly<Record<DestinationSyntax, FlagSet>> = {
  kaniko: { long: ["--destination", "--cache-repo"], short: "-d" },
  dockerizer: { long: ["--destination"], short: "-d" },
  tags: { long: ["--tag"], short: "-t" },
  buildctl: { long: ["--output"], short: "-o" },
  any: { long: ["--destination", "--cache-repo", "--tag"] },
};

interface FlagSet {
  readonly long: readonly string[];
  readonly short?: string;
}

// Flags and commands are lists: a set would hash every word, which takes six times as long (test/admission/review-time).
const BUILD_COMMANDS = ["build", "bud", "buildx", "build-using-dockerfile"];

/**
 * Images as they are written, each once, in the order of the arguments; what only the cluster or a shell knows is left out. Of
 * more flags than `limit` the first ones count.
 */
export function destinationsOf(
  syntax: DestinationSyntax,
  argv: readonly string[],
  limit: number,
): readonly string[] {
  if (syntax === "tags" && !argv.some((word) => BUILD_COMMANDS.includes(word))) return [];
  const found = new Set<string>();
  let flags = 0;
  for (const [index, word] of argv.entries()) {
    if (flags === limit) break;
    const value = valueOf(word, argv[index + 1], FLAGS[syntax]);
    if (value === undefined) continue;
    flags++;
    for (const image of syntax === "buildctl" ? imagesOfOutput(value) : [value]) {
      // A tag without a host is for the machine itself, and becomes one of Docker Hub's own images in full.
      const isLocal = syntax === "tags" && !image.includes("/");
      if (image !== "" && !isLocal && !/[$`]/.test(image)) found.add(image);
    }
  }
  return [...found];
}

function valueOf(word: string, next: string | undefined, { long, short }: FlagSet): string | undefined {
  for (const flag of long) {
    if (!word.startsWith(flag)) continue;
    if (word.length === flag.length) return next;
    if (word[flag.length] === "=") return word.slice(flag.length + 1);
  }
  if (short === undefined || !word.startsWith(short)) return undefined;
  return word.length === short.length ? next : word.slice(short.length).replace(/^=/, "");
}

/** More than an output has options and names; a text of nothing but commas would take long to be taken apart. */
const MAX_OUTPUT_PARTS = 64;

/** `type=image,name=a,push=true`, or with several names `type=image,"name=a,b",push=true`; oci and tar are files. */
function imagesOfOutput(output: string): readonly string[] {
  const parts = output.replaceAll('"', "").split(",", MAX_OUTPUT_PARTS);
  if (!parts.includes("type=image")) return [];
  const start = parts.findIndex((part) => part.startsWith("name="));
  if (start < 0) return [];
  const end = parts.findIndex((part, index) => index > start && part.includes("="));
  const names = end < 0 ? parts.slice(start) : parts.slice(start, end);
  return names.map((name) => name.replace(/^name=/, ""));
}
