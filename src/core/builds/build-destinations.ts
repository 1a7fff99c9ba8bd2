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
const FLAGS: Readonly<
  Record<DestinationSyntax, { readonly long: readonly string[]; readonly short: string }>
> = {
  kaniko: { long: ["--destination", "--cache-repo"], short: "-d" },
  dockerizer: { long: ["--destination"], short: "-d" },
  tags: { long: ["--tag"], short: "-t" },
  buildctl: { long: ["--output"], short: "-o" },
  any: { long: ["--destination", "--cache-repo", "--tag"], short: "" },
};

const BUILD_COMMANDS: ReadonlySet<string> = new Set(["build", "bud", "buildx", "build-using-dockerfile"]);

/** Images as they are written, each once, in the order of the arguments; what only the cluster or a shell knows is left out. */
export function destinationsOf(syntax: DestinationSyntax, words: readonly string[]): readonly string[] {
  if (syntax === "tags" && !words.some((word) => BUILD_COMMANDS.has(word))) return [];
  const { long, short } = FLAGS[syntax];
  const found = new Set<string>();
  words.forEach((word, index) => {
    const value = valueOf(word, words[index + 1], long, short);
    const images = value === undefined ? [] : syntax === "buildctl" ? imagesOfOutput(value) : [value];
    for (const image of images) if (image !== "" && !/[$`]/.test(image)) found.add(image);
  });
  // A tag without a host is for the machine itself, and becomes one of Docker Hub's own images in full.
  return [...found].filter((image) => syntax !== "tags" || image.includes("/"));
}

function valueOf(
  word: string,
  next: string | undefined,
  long: readonly string[],
  short: string,
): string | undefined {
  for (const flag of long) {
    if (word === flag) return next;
    if (word.startsWith(`${flag}=`)) return word.slice(flag.length + 1);
  }
  if (short === "" || !word.startsWith(short)) return undefined;
  return word === short ? next : word.slice(short.length).replace(/^=/, "");
}

/** `type=image,name=a,push=true`, or with several names `type=image,"name=a,b",push=true`; oci and tar are files. */
function imagesOfOutput(output: string): readonly string[] {
  const parts = output.replaceAll('"', "").split(",");
  if (!parts.includes("type=image")) return [];
  const start = parts.findIndex((part) => part.startsWith("name="));
  if (start < 0) return [];
  const end = parts.findIndex((part, index) => index > start && part.includes("="));
  const names = end < 0 ? parts.slice(start) : parts.slice(start, end);
  return names.map((name) => name.replace(/^name=/, ""));
}
