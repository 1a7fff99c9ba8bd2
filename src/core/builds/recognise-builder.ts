/** Recognises builders by their images. */
import { BUILDERS, type Builder } from "./builders.ts";
import { normalisePath } from "./container-path.ts";
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
  const directory = normalisePath(dockerConfigPath);
  return {
    name,
    repositories: images,
    variant: "any",
    reads: { kind: "fixed", directory },
    usualDirectory: directory,
    writesBeside: false,
    destinations: "any",
    programs: "any",
    runsByItself: "always",
  };
}

/**
 * Finds the first builder whose repositories an image's repository ends like; undefined if it is none. Few of those have a last
 * component as long as the image's, and to compare it with them is faster than to look for it in a map.
 */
export function indexBuilders(
  builders: readonly Builder[],
): (reference: ImageReference) => RecognisedBuilder | undefined {
  const rows = builders.flatMap((builder) =>
    builder.repositories.map((tail) => ({ builder, tail, last: lastComponent(tail) })),
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
    return candidates.find((row) => (row.last === last || row.last === "*") && isLike(reference, row));
  };
}

function isLike(reference: ImageReference, { builder: { variant }, tail }: RecognisedBuilder): boolean {
  if (variant !== "any" && variant !== (isRootless(reference.tag) ? "rootless" : "root")) return false;
  const components = repositoryName(reference).split("/");
  const pattern = tail.split("/");
  const start = components.length - pattern.length;
  return (
    start >= 0 &&
    pattern.every((component, index) => component === "*" || component === components[start + index])
  );
}

/** Goes back character by character, which is faster than `lastIndexOf` for names as short as these. */
function lastComponent(repository: string): string {
  let start = repository.length;
  while (start > 0 && repository[start - 1] !== "/") start--;
  return repository.slice(start);
}

/** `rootless`, `v0.20.0-rootless`, `buildx-stable-1-rootless`, `28-dind-rootless`. */
function isRootless(tag: string | undefined): boolean {
  return tag?.split("-").includes("rootless") === true;
}
