/** Recognises builders by their images. */
import { BUILDERS, type Builder } from "./builders.ts";
import { repositoryName, type ImageReference } from "../image-reference.ts";

/** What the configuration says of a builder of its own. */
export interface ConfiguredBuilder {
  readonly name: string;
  readonly images: readonly string[];
  readonly dockerConfigPath: string;
}

/** A builder, and the end of a repository that it was recognised by. */
export interface RecognisedBuilder {
  readonly builder: Builder;
  readonly tail: string;
}

/** The admin's own come first, then the built-in table. */
export function listBuilders(configured: readonly ConfiguredBuilder[]): readonly Builder[] {
  return [...configured.map(fromConfiguration), ...BUILDERS];
}

function fromConfiguration({ name, images, dockerConfigPath }: ConfiguredBuilder): Builder {
  return {
    name,
    repositories: images,
    variant: "any",
    reads: { kind: "fixed", directory: dockerConfigPath },
    usualDirectory: dockerConfigPath,
    writesBeside: false,
    destinations: "any",
    programs: "any",
    runsByItself: "always",
  };
}

/** The first builder whose repositories an image's repository ends like; undefined if it is none. */
export function recogniseBuilder(
  reference: ImageReference,
  builders: readonly Builder[],
): RecognisedBuilder | undefined {
  const components = repositoryName(reference).split("/");
  const variant = isRootless(reference.tag) ? "rootless" : "root";
  for (const builder of builders) {
    if (builder.variant !== "any" && builder.variant !== variant) continue;
    const tail = builder.repositories.find((repository) => endsLike(components, repository.split("/")));
    if (tail !== undefined) return { builder, tail };
  }
  return undefined;
}

/** `rootless`, `v0.20.0-rootless`, `buildx-stable-1-rootless`, `28-dind-rootless`. */
function isRootless(tag: string | undefined): boolean {
  return tag?.split("-").includes("rootless") === true;
}

function endsLike(components: readonly string[], tail: readonly string[]): boolean {
  const start = components.length - tail.length;
  return (
    start >= 0 &&
    tail.every((component, index) => component === "*" || component === components[start + index])
  );
}
