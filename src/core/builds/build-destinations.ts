/** Finds the images that a builder's arguments say it pushes. */
import type { DestinationSyntax } from "./builders.ts";

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
  kaniko: flagSet(["--destination", "--cache-repo"], "-d"),
  dockerizer: flagSet(["--destination"], "-d"),
  tags: flagSet(["--tag"], "-t"),
  buildctl: flagSet(["--output"], "-o"),
  any: flagSet(["--destination", "--cache-repo", "--tag"]),
};

interface FlagSet {
  /** Those that a value follows. */
  readonly alone: ReadonlySet<string>;
  /** Those with an equals sign. */
  readonly joined: readonly string[];
  readonly short: string | undefined;
}

function flagSet(long: readonly string[], short?: string): FlagSet {
  const alone = new Set(short === undefined ? long : [...long, short]);
  return { alone, joined: long.map((flag) => `${flag}=`), short };
}

const BUILD_COMMANDS: ReadonlySet<string> = new Set(["build", "bud", "buildx", "build-using-dockerfile"]);

/**
 * Images as they are written, each once, in the order of the arguments; what only the cluster or a shell knows is left out. Of
 * more flags than `limit` the first ones count.
 */
export function destinationsOf(
  syntax: DestinationSyntax,
  words: readonly string[],
  limit: number,
): readonly string[] {
  if (syntax === "tags" && !words.some((word) => BUILD_COMMANDS.has(word))) return [];
  const found = new Set<string>();
  let flags = 0;
  for (let index = 0; index < words.length && flags < limit; index++) {
    const value = valueOf(words[index] ?? "", words[index + 1], FLAGS[syntax]);
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

function valueOf(
  word: string,
  next: string | undefined,
  { alone, joined, short }: FlagSet,
): string | undefined {
  if (!word.startsWith("-")) return undefined;
  if (alone.has(word)) return next;
  for (const flag of joined) if (word.startsWith(flag)) return word.slice(flag.length);
  if (short === undefined || !word.startsWith(short)) return undefined;
  return word.slice(short.length).replace(/^=/, "");
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
