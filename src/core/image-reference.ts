/**
 * Image references, read as kubelet and containerd read them.
 *
 * The grammar is that of github.com/distribution/reference:
 *
 *     reference        := name [ ":" tag ] [ "@" digest ]
 *     name             := [ domain "/" ] path
 *     domain           := host [ ":" port ]
 *     host             := label *( "." label ) | "[" IPv6 "]"
 *     label            := alphanumeric, with "-" inside
 *     port             := 1*DIGIT
 *     path             := component *( "/" component ), at most 255 characters
 *     component        := 1*[a-z0-9] *( separator 1*[a-z0-9] )
 *     separator        := "." | "_" | "__" | 1*"-"
 *     tag              := [A-Za-z0-9_] 0*127[A-Za-z0-9_.-]
 *     digest           := algorithm ":" 32*HEXDIG, of which sha256, sha384 and sha512 are known
 *
 * Before that the short forms of Docker Hub are filled in: a first component is a domain only if it holds a `.` or a
 * `:`, holds a capital, or is `localhost`; without a domain it is `docker.io`, and `library/` goes before a lone name.
 */
import { quote } from "./quote.ts";

/** The parts of an image reference. `domain/path` is what kubelet looks credentials up with. */
export interface ImageReference {
  /** Host with optional port, case kept. Empty for the odd first component that only a path may hold (`a_b.com/x`). */
  readonly domain: string;
  /** The repository without its host, `library/` filled in. */
  readonly path: string;
  readonly tag: string | undefined;
  /** Algorithm and hexadecimal, as written. */
  readonly digest: string | undefined;
}

/** Why a string is not an image reference. */
export type ImageReferenceFault =
  | "empty"
  | "identifier"
  | "uppercase"
  | "format"
  | "too-long"
  | "digest-unsupported"
  | "digest-length"
  | "digest-format";

/** The faults in words, which follow the string that has them. */
export const IMAGE_REFERENCE_FAULTS: Readonly<Record<ImageReferenceFault, string>> = {
  empty: "it is empty",
  identifier: "64 hexadecimal digits are an image ID, not a name",
  uppercase: "the repository has to be lower case",
  format: "it is not of the form [host[:port]/]path[:tag][@digest]",
  "too-long": "the repository is longer than 255 characters",
  "digest-unsupported": "the digest is none of sha256, sha384 and sha512",
  "digest-length": "the digest has the wrong length for its algorithm",
  "digest-format": "the digest has to be lower-case hexadecimal",
};

/** Thrown by {@link parseImageReference}. */
export class InvalidImageReferenceError extends Error {
  override readonly name = "InvalidImageReferenceError";

  readonly input: string;
  readonly fault: ImageReferenceFault;

  constructor(input: string, fault: ImageReferenceFault) {
    super(`${quote(input)} is not an image reference: ${IMAGE_REFERENCE_FAULTS[fault]}`);
    this.input = input;
    this.fault = fault;
  }
}

const HUB = "docker.io";
const LEGACY_HUB = "index.docker.io";
const OFFICIAL = "library/";
const MAX_PATH_LENGTH = 255;

const IDENTIFIER_LENGTH = 64;
const IDENTIFIER = /^[a-f0-9]+$/;
const HOST_CHARACTERS = /^[A-Za-z0-9.-]+$/;
const LABEL_EDGE = /(?:^|\.)(?:-|\.|$)|-(?:\.|$)/;
const BRACKETED = /^\[[a-fA-F0-9:]+\]$/;
const DIGITS = /^[0-9]+$/;
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST_ALGORITHM = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*$/;
const DIGEST_VALUE = /^[0-9a-fA-F]{32,}$/;
const UPPERCASE_HEX = /[A-F]/;

/** Hexadecimal digits of a digest, by algorithm; kubelet registers these three. */
const DIGEST_LENGTHS: ReadonlyMap<string, number> = new Map([
  ["sha256", 64],
  ["sha384", 96],
  ["sha512", 128],
]);

/**
 * Parses an image as a pod names it. The string is not trimmed.
 *
 * @throws InvalidImageReferenceError if kubelet would report `InvalidImageName`.
 */
export function parseImageReference(input: string): ImageReference {
  const reference = readImageReference(input);
  if (typeof reference === "string") throw new InvalidImageReferenceError(input, reference);
  return reference;
}

/** Like {@link parseImageReference}, but returns the fault instead of throwing it. */
export function readImageReference(input: string): ImageReference | ImageReferenceFault {
  if (input === "") return "empty";
  if (input.length === IDENTIFIER_LENGTH && IDENTIFIER.test(input)) return "identifier";

  const [domain, remainder] = splitDomain(input);

  // The case is checked up to the first colon, which takes an upper-case digest algorithm in, as upstream does.
  const colon = remainder.indexOf(":");
  const beforeColon = colon < 0 ? remainder : remainder.slice(0, colon);
  if (beforeColon !== beforeColon.toLowerCase()) return "uppercase";

  const at = remainder.indexOf("@");
  const digest = at < 0 ? undefined : remainder.slice(at + 1);
  const nameAndTag = at < 0 ? remainder : remainder.slice(0, at);
  const tagColon = nameAndTag.indexOf(":");
  const tag = tagColon < 0 ? undefined : nameAndTag.slice(tagColon + 1);
  const remotePath = tagColon < 0 ? nameAndTag : nameAndTag.slice(0, tagColon);

  // A first component that looks like a host but is none may still be the first component of a path.
  const hasDomain = isDomain(domain);
  const path = hasDomain ? remotePath : `${domain}/${remotePath}`;

  if (path.length > MAX_PATH_LENGTH) return "too-long";
  if (!isRepositoryPath(path)) return "format";
  if (tag !== undefined && !TAG.test(tag)) return "format";
  const fault = digest === undefined ? undefined : faultOfDigest(digest);
  return fault ?? { domain: hasDomain ? domain : "", path, tag, digest };
}

/** The reference in full; parsing the result gives an equal reference. */
export function formatImageReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return `${repositoryName(reference)}${tag}${digest}`;
}

/** `domain/path`: what kubelet hands to its credential lookup. */
export function repositoryName(reference: ImageReference): string {
  return reference.domain === "" ? reference.path : `${reference.domain}/${reference.path}`;
}

/** Whether a text can be the path of a repository, or the leading components of one. */
export function isRepositoryPath(text: string): boolean {
  return text.length <= MAX_PATH_LENGTH && PATH.test(text);
}

/*
 * first component          | domain      | remainder
 * (no slash)               | docker.io   | library/ + all
 * localhost                | as written  | the rest
 * index.docker.io          | docker.io   | the rest
 * with "." or ":"          | as written  | the rest
 * with a capital           | as written  | the rest
 * anything else            | docker.io   | all
 * and with docker.io a remainder without a slash gets library/ before it.
 */
function splitDomain(input: string): readonly [domain: string, remainder: string] {
  const slash = input.indexOf("/");
  if (slash < 0) return [HUB, OFFICIAL + input];
  const first = input.slice(0, slash);
  const rest = input.slice(slash + 1);
  const isHost =
    first === "localhost" || first.includes(".") || first.includes(":") || first !== first.toLowerCase();
  if (!isHost) return [HUB, input];
  if (first !== HUB && first !== LEGACY_HUB) return [first, rest];
  return [HUB, rest.includes("/") ? rest : OFFICIAL + rest];
}

function isDomain(text: string): boolean {
  const bracket = text.startsWith("[") ? text.lastIndexOf("]") : -1;
  const colon = text.indexOf(":", bracket + 1);
  const host = colon < 0 ? text : text.slice(0, colon);
  const hasGoodPort = colon < 0 || DIGITS.test(text.slice(colon + 1));
  if (!hasGoodPort) return false;
  return BRACKETED.test(host) || (HOST_CHARACTERS.test(host) && !LABEL_EDGE.test(host));
}

function faultOfDigest(digest: string): ImageReferenceFault | undefined {
  const colon = digest.indexOf(":");
  const algorithm = digest.slice(0, Math.max(colon, 0));
  const value = digest.slice(colon + 1);
  if (!DIGEST_VALUE.test(value)) return "format";
  const length = DIGEST_LENGTHS.get(algorithm);
  // No algorithm is longer than a few characters; the bound keeps the pattern's work small on hostile input.
  const isAlgorithm = algorithm.length <= MAX_PATH_LENGTH && DIGEST_ALGORITHM.test(algorithm);
  if (!isAlgorithm) return "format";
  if (length === undefined) return "digest-unsupported";
  if (value.length !== length) return "digest-length";
  return UPPERCASE_HEX.test(value) ? "digest-format" : undefined;
}
