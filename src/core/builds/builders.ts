/** Image builders: how to recognise their images, and where each reads registry credentials. */
import { normalisePath } from "./build-container.ts";
import { repositoryName, type ImageReference } from "../image-reference.ts";

/** An image that builds or pushes images. */
export interface Builder {
  /** Unique in the table; shown in reports and metrics. */
  readonly name: string;
  /**
   * Ends of repositories, host included, that begin and end at a `/` or at the whole; `*` is any one component. Mirrors keep
   * the end: `registry.local/mirror/kaniko-project/executor`.
   */
  readonly repositories: readonly string[];
  /** Only images with a tag of this kind, or of any. A digest alone counts as `root`. */
  readonly variant: "any" | "root" | "rootless";
  readonly reads: CredentialPlace;
  /** The directory that people, and Polyaxon's connections, have in mind for it; undefined if none is known. */
  readonly usualDirectory: string | undefined;
  /** It writes directories next to config.json. */
  readonly needsWritableConfigDir: boolean;
  /** How its arguments name the images that it pushes. */
  readonly destinations: DestinationSyntax;
  /** What runs it: its programs that read credentials, each a name or a full path; `any` where they are not known. */
  readonly programs: readonly string[] | "any";
  /** Whether the image runs one of them where the container has no command: always, or if its first argument is one of these. */
  readonly runsByItself: "always" | readonly string[];
}

/** Where config.json is read. */
export type CredentialPlace =
  /** One directory, whatever the user; normalised, as every directory here. */
  | { readonly kind: "fixed"; readonly directory: string }
  /** kaniko's own directory, which its arguments can move; the image may or may not set DOCKER_CONFIG. */
  | { readonly kind: "kaniko" }
  /** `.docker` in the home directory: `home` for that user, or for every user if the image sets HOME. */
  | { readonly kind: "home"; readonly home: string; readonly user: number | "any" }
  /** Anywhere, said by a variable: one that holds the directory, or one that holds the file. */
  | { readonly kind: "named"; readonly variable: "DOCKER_CONFIG" | "REGISTRY_AUTH_FILE" };

export type DestinationSyntax = "kaniko" | "dockerizer" | "tags" | "buildctl" | "any";

export const KANIKO_DIRECTORY = "/kaniko";

const PLAIN = {
  variant: "any",
  usualDirectory: undefined,
  needsWritableConfigDir: false,
  runsByItself: "always",
} as const;
const KANIKO = {
  ...PLAIN,
  reads: { kind: "kaniko" },
  usualDirectory: `${KANIKO_DIRECTORY}/.docker`,
  destinations: "kaniko",
  programs: ["executor", "warmer", `${KANIKO_DIRECTORY}/executor`, `${KANIKO_DIRECTORY}/warmer`],
} as const;
// The image runs buildkitd, which is sent credentials by its client.
const BUILDKIT = {
  ...PLAIN,
  destinations: "buildctl",
  programs: ["buildctl", "buildctl-daemonless.sh"],
  runsByItself: [],
} as const;
// The images of buildah and podman have no entrypoint (containers/image_build): arguments are a command.
const CONTAINERS = {
  ...PLAIN,
  reads: { kind: "named", variable: "REGISTRY_AUTH_FILE" },
  destinations: "tags",
  programs: ["buildah", "podman", "skopeo"],
  runsByItself: [],
} as const;
// docker-library/docker docker-entrypoint.sh: a command of docker's is run by docker, anything else as it is. Without arguments
// there is a shell, or a daemon.
const DOCKER = {
  ...PLAIN,
  reads: { kind: "named", variable: "DOCKER_CONFIG" },
  needsWritableConfigDir: true,
  destinations: "tags",
  programs: ["docker"],
  runsByItself: ["build", "buildx", "compose", "create", "image", "manifest", "pull", "push", "run"],
} as const;

/**
 * The first row that fits decides. Every end names a project besides the image, or says enough by itself: anybody's `docker`,
 * `stable`, `img` or `kaniko` is not a builder. Not here: Tekton (copies its own credentials), GitLab's runner helper (needs
 * none), jib (has no image).
 */
export const BUILDERS: readonly Builder[] = [
  // GoogleContainerTools/kaniko deploy/Dockerfile: ENV DOCKER_CONFIG /kaniko/.docker/, but not in the slim stage.
  { ...KANIKO, name: "kaniko", repositories: ["kaniko-project/executor", "kaniko-project/warmer"] },
  // osscontainertools/kaniko deploy/Dockerfile, as above; Docker Hub has it as martizih/kaniko.
  {
    ...KANIKO,
    name: "kaniko-osscontainertools",
    repositories: ["osscontainertools/kaniko", "osscontainertools/kaniko-dev", "martizih/kaniko"],
  },
  // chainguard-forks/kaniko deploy/Dockerfile; the paths are those of Chainguard's directory, one for each customer.
  {
    ...KANIKO,
    name: "kaniko-chainguard",
    repositories: [
      "cgr.dev/*/kaniko",
      "cgr.dev/*/kaniko-fips",
      "cgr.dev/*/kaniko-warmer",
      "cgr.dev/*/kaniko-warmer-fips",
    ],
  },
  // moby/buildkit Dockerfile, session/auth/authprovider: the client sends credentials. It would keep `.token_seed` beside
  // config.json, and goes on without where nothing can be written (tokenseed.go).
  {
    ...BUILDKIT,
    name: "buildkit",
    repositories: ["moby/buildkit"],
    variant: "root",
    reads: { kind: "home", home: "/root", user: 0 },
    usualDirectory: "/root/.docker",
  },
  // moby/buildkit Dockerfile, stage rootless: USER 1000:1000, ENV HOME=/home/user.
  {
    ...BUILDKIT,
    name: "buildkit-rootless",
    repositories: ["moby/buildkit"],
    variant: "rootless",
    reads: { kind: "home", home: "/home/user", user: "any" },
    usualDirectory: "/home/user/.docker",
  },
  // containers/image pkg/docker/config: REGISTRY_AUTH_FILE comes before every other place.
  {
    ...CONTAINERS,
    name: "buildah",
    repositories: ["buildah/stable", "buildah/testing", "buildah/upstream", "containers/buildah"],
  },
  {
    ...CONTAINERS,
    name: "podman",
    repositories: ["podman/stable", "podman/testing", "podman/upstream", "containers/podman"],
  },
  // containers/image_build skopeo/Containerfile: ENV REGISTRY_AUTH_FILE=/tmp/auth.json, which the container's own replaces, and
  // ENTRYPOINT skopeo.
  {
    ...CONTAINERS,
    name: "skopeo",
    repositories: ["skopeo/stable", "skopeo/testing", "skopeo/upstream", "containers/skopeo"],
    runsByItself: "always",
  },
  // genuinetools/img Dockerfile: USER user (1000), ENV HOME /home/user. Its end alone would be anybody's.
  {
    ...PLAIN,
    name: "img",
    repositories: ["r.j3ss.co/img"],
    reads: { kind: "home", home: "/home/user", user: "any" },
    usualDirectory: "/home/user/.docker",
    destinations: "tags",
    programs: ["img"],
  },
  // docker/cli cli/config: DOCKER_CONFIG; beside config.json are buildx's builders, contexts and manifests. Docker Hub's
  // `docker` is `library/docker` in full, and so is a mirror's.
  {
    ...DOCKER,
    name: "docker",
    repositories: ["library/docker"],
    variant: "root",
    usualDirectory: "/root/.docker",
  },
  // docker-library/docker dind-rootless/Dockerfile: USER rootless (1000), home /home/rootless.
  {
    ...DOCKER,
    name: "docker-rootless",
    repositories: ["library/docker"],
    variant: "rootless",
    usualDirectory: "/home/rootless/.docker",
  },
  // Polyaxon's documentation of connections; docker-py docker/utils/config.py reads DOCKER_CONFIG, then the home directory. Its
  // component has no command, and the arguments `build-and-push ...`; Polyaxon 0.6 ran `python3 -u dockerizer/build_cmd.py`.
  {
    ...PLAIN,
    name: "dockerizer",
    repositories: ["polyaxon-dockerizer"],
    reads: { kind: "home", home: "/root", user: 0 },
    usualDirectory: "/root/.docker",
    destinations: "dockerizer",
    programs: ["build-and-push", "dockerizer/build_cmd.py"],
  },
  // google/go-containerregistry pkg/authn/keychain.go: the home directory, then DOCKER_CONFIG; the image's user is root.
  {
    ...PLAIN,
    name: "crane",
    repositories: ["go-containerregistry/crane"],
    reads: { kind: "home", home: "/root", user: 0 },
    usualDirectory: "/root/.docker",
    destinations: "tags",
    programs: ["crane", "/ko-app/crane"],
  },
  // chainguard-images/images images/crane: user nonroot (65532), whose home is /home/nonroot, and ENTRYPOINT /usr/bin/crane.
  {
    ...PLAIN,
    name: "crane-chainguard",
    repositories: ["cgr.dev/*/crane"],
    reads: { kind: "home", home: "/home/nonroot", user: 65532 },
    usualDirectory: "/home/nonroot/.docker",
    destinations: "tags",
    programs: ["crane"],
  },
  // The same keychain; the image's user is not known, so the variable says where.
  {
    ...PLAIN,
    name: "ko",
    repositories: ["ko-build/ko", "google/ko"],
    reads: { kind: "named", variable: "DOCKER_CONFIG" },
    destinations: "any",
    programs: ["ko", "/ko-app/ko"],
  },
  // buildpacks/lifecycle auth/keychain.go: CNB_REGISTRY_AUTH for the registries in it, then the same keychain. Platforms run the
  // phases as root or as the build's user, so the variable says where. tools/image/main.go: no entrypoint, and the phases are in
  // /cnb/lifecycle. Those that are not listed here need no registry.
  {
    ...PLAIN,
    name: "lifecycle",
    repositories: ["buildpacksio/lifecycle"],
    reads: { kind: "named", variable: "DOCKER_CONFIG" },
    destinations: "any",
    programs: ["lifecycle", "analyzer", "creator", "exporter", "extender", "rebaser", "restorer"].map(
      (program) => `/cnb/lifecycle/${program}`,
    ),
    runsByItself: [],
  },
];

/** A container that an annotation names, whose image is nobody's we know: nearly all clients read DOCKER_CONFIG. */
export const NAMED_BUILDER: Builder = {
  ...PLAIN,
  name: "annotated",
  repositories: [],
  reads: { kind: "named", variable: "DOCKER_CONFIG" },
  destinations: "any",
  programs: "any",
};

/** A builder that the configuration adds. */
export interface ConfiguredBuilder {
  readonly name: string;
  readonly images: readonly string[];
  readonly dockerConfigPath: string;
}

/** A builder, and the end of a repository that it was recognised by. */
export interface RecognisedBuilder {
  readonly builder: Builder;
  readonly repositorySuffix: string;
}

/** The admin's own come first, then the built-in table. */
export function listBuilders(configured: readonly ConfiguredBuilder[]): readonly Builder[] {
  return [...configured.map(fromConfiguration), ...BUILDERS];
}

function fromConfiguration({ name, images, dockerConfigPath }: ConfiguredBuilder): Builder {
  const directory = normalisePath(dockerConfigPath);
  return {
    ...NAMED_BUILDER,
    name,
    repositories: images,
    reads: { kind: "fixed", directory },
    usualDirectory: directory,
  };
}

/**
 * Finds the first builder with a repository suffix that an image's repository ends in; undefined if there is none. Few suffixes
 * have a last component as long as the image's: comparing it with those costs less than hashing it for a map.
 */
export function indexBuilders(
  builders: readonly Builder[],
): (reference: ImageReference) => RecognisedBuilder | undefined {
  const rows = builders.flatMap((builder) =>
    builder.repositories.map((repositorySuffix) => ({
      builder,
      repositorySuffix,
      last: lastComponent(repositorySuffix),
    })),
  );
  const ofAnyLength = rows.filter(({ last }) => last === "*");
  const byLength = new Map(
    rows.map(({ last: { length } }) => [
      length,
      rows.filter(({ last }) => last.length === length || last === "*"),
    ]),
  );
  return (reference) => {
    const last = lastComponent(reference.path);
    const candidates = byLength.get(last.length) ?? ofAnyLength;
    return candidates.find((row) => (row.last === last || row.last === "*") && endsIn(reference, row));
  };
}

function endsIn(
  reference: ImageReference,
  { builder: { variant }, repositorySuffix }: RecognisedBuilder,
): boolean {
  if (variant !== "any" && variant !== (isRootless(reference.tag) ? "rootless" : "root")) return false;
  const components = repositoryName(reference).split("/");
  const pattern = repositorySuffix.split("/");
  const start = components.length - pattern.length;
  return (
    start >= 0 &&
    pattern.every((component, index) => component === "*" || component === components[start + index])
  );
}

function lastComponent(repository: string): string {
  return repository.slice(repository.lastIndexOf("/") + 1);
}

/** `rootless`, `v0.20.0-rootless`, `buildx-stable-1-rootless`, `28-dind-rootless`. */
function isRootless(tag: string | undefined): boolean {
  return tag?.split("-").includes("rootless") === true;
}
