/**
 * Registry addresses: `host[:port][/path]`, what images are matched against.
 *
 * The rule is kubelet's for the keys of a pull secret (k8s.io/kubernetes `pkg/credentialprovider/keyring.go`), with
 * two deliberate differences. A path ends at a `/`: `/team-a` does not cover `/team-abc`. And Docker Hub's
 * `index.docker.io` is `docker.io`, so that both spellings are one address and never cover `localhost/app`.
 */
import { isRepositoryPath } from "./image-reference.ts";

/** A parsed address. Two addresses are the same registry exactly if their `text` is equal. */
export interface Address {
  /** The canonical form: no scheme, no `/v1/` or `/v2/`, no last slash, `docker.io` for Docker Hub. */
  readonly text: string;
  /** Host and port as an image writes them, possibly with `*` in the labels of the host. */
  readonly authority: string;
  /** The host alone; an IPv6 address without its brackets. */
  readonly host: string;
  /** The digits after the host's colon, or the empty string: no port is a port of its own, and not 443. */
  readonly port: string;
  /** Leading components of the repository, or the empty string for all of the host. */
  readonly path: string;
  readonly isWildcard: boolean;
}

/** Thrown by {@link parseAddress}; `reason` does not repeat the text, which may hold a password by mistake. */
export class InvalidAddressError extends Error {
  override readonly name = "InvalidAddressError";

  readonly reason: string;

  constructor(reason: string) {
    super(`not a registry address: ${reason}`);
    this.reason = reason;
  }
}

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//;
const HTTP_SCHEME = /^https?:\/\//;
/** What `docker login` writes for Docker Hub, without its last slash. Without a scheme it would be Docker Hub's account `v1`. */
const HUB_KEY = /^https?:\/\/index\.docker\.io\/v1$/;
const API_VERSION = /^\/v[12]\//;
const AUTHORITY = /^(?:\[([0-9a-fA-F:]+)\]|([^[\]:]*))(?::(.*))?$/;
// A DNS name has no underscores, but kubelet looks up such hosts as well.
const LABEL = /^(?!-)[A-Za-z0-9_*-]+(?<!-)$/;
const PORT = /^[0-9]+$/;

/**
 * Parses an address as an admin writes it. A scheme (`http://` or `https://`), a leading `/v1/` or `/v2/` of the path
 * and a last slash are taken off.
 *
 * @throws InvalidAddressError if no image could ever match the text.
 */
export function parseAddress(input: string): Address {
  if (input === "") throw new InvalidAddressError("it is empty");
  if (/\s/.test(input)) throw new InvalidAddressError("it holds white space");
  if (SCHEME.test(input) && !HTTP_SCHEME.test(input)) {
    throw new InvalidAddressError("the scheme has to be http:// or https://, or none");
  }
  const bare = input.replace(HTTP_SCHEME, "");
  if (bare.includes("@")) {
    throw new InvalidAddressError("it holds an @; user name and password go under auth");
  }
  if (/[?#]/.test(bare)) throw new InvalidAddressError("it holds a ? or a #, which end the host of a URL");

  const slash = bare.indexOf("/");
  const authority = slash < 0 ? bare : bare.slice(0, slash);
  const writtenPath = slash < 0 ? "" : bare.slice(slash);
  const path = HUB_KEY.test(input) ? "" : writtenPath.replace(API_VERSION, "/").replace(/\/$/, "").slice(1);
  if (path !== "") checkPath(path);

  const canonicalAuthority = authority === "index.docker.io" ? "docker.io" : authority;
  return {
    text: path === "" ? canonicalAuthority : `${canonicalAuthority}/${path}`,
    authority: canonicalAuthority,
    ...parseAuthority(canonicalAuthority),
    path,
    isWildcard: authority.includes("*"),
  };
}

/** A repository's name cut where addresses are compared: see {@link splitRepository}. */
export interface Repository {
  readonly authority: string;
  readonly path: string;
}

/** Cuts `domain/path` as kubelet's lookup does, at the first slash. */
export function splitRepository(repositoryName: string): Repository {
  const slash = repositoryName.indexOf("/");
  return { authority: repositoryName.slice(0, slash), path: repositoryName.slice(slash + 1) };
}

/** Cuts the authority of an image at its port. */
export function splitPort(authority: string): Pick<Address, "host" | "port"> {
  const bracket = authority.startsWith("[") ? authority.indexOf("]") : -1;
  const colon = authority.indexOf(":", bracket + 1);
  const host = colon < 0 ? authority : authority.slice(0, colon);
  return { host: bracket < 0 ? host : host.slice(1, -1), port: colon < 0 ? "" : authority.slice(colon + 1) };
}

/*
 * Does an address cover a repository? All three have to hold.
 *
 * port                      | equal as text; none equals only none
 * host                      | as many labels, and each label matches as a glob in which * stands for any run, also none
 * path                      | the address has none, or the repository's begins with it and then ends or has a slash
 */
export function addressCovers(address: Address, repository: Repository): boolean {
  return coversHost(address, repository) && coversPath(address.path, repository.path);
}

/** Whether an address would cover a repository if it were on the same port. */
export function coversOnAnotherPort(address: Address, repository: Repository): boolean {
  const { port } = splitPort(repository.authority);
  return address.port !== port && addressCovers({ ...address, port, isWildcard: true }, repository);
}

function coversHost(address: Address, repository: Repository): boolean {
  if (!address.isWildcard) return address.authority === repository.authority;
  const { host, port } = splitPort(repository.authority);
  return address.port === port && globMatches(address.host, host);
}

function coversPath(prefix: string, path: string): boolean {
  if (prefix === "") return true;
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === "/");
}

/** The concrete hosts behind an address with `*`, each with its path; a host that it does not cover gets nothing. */
export function coveredHosts(wildcard: Address, hosts: readonly Address[]): readonly Address[] {
  const concrete = hosts.filter((host) => !host.isWildcard);
  const withPath = concrete.map((host) => (host.path === "" ? atPath(host, wildcard.path) : host));
  return withPath.filter((host) => addressCovers(wildcard, host));
}

/** The same address with another path. */
export function atPath(host: Address, path: string): Address {
  return path === "" ? host : { ...host, path, text: `${host.authority}/${path}` };
}

/**
 * Orders addresses from most to least specific: longer path, then a host without `*`, then the longer text. Addresses
 * that are equal in all three compare as 0; a stable sort leaves them in the order of the configuration.
 */
export function compareSpecificity(a: Address, b: Address): number {
  return (
    b.path.length - a.path.length ||
    Number(a.isWildcard) - Number(b.isWildcard) ||
    b.text.length - a.text.length
  );
}

/**
 * `*` stands for any run of characters without a dot, also for none, so that only hosts with as many labels match.
 * Greedy with one point of return, so the time is bounded by the product of both lengths.
 */
export function globMatches(glob: string, text: string): boolean {
  let globIndex = 0;
  let textIndex = 0;
  let starIndex = -1;
  let resumeIndex = 0;
  while (textIndex < text.length) {
    if (glob[globIndex] === "*") {
      starIndex = globIndex++;
      resumeIndex = textIndex;
    } else if (glob[globIndex] === text[textIndex]) {
      globIndex++;
      textIndex++;
    } else if (starIndex >= 0 && text[resumeIndex] !== ".") {
      globIndex = starIndex + 1;
      textIndex = ++resumeIndex;
    } else {
      return false;
    }
  }
  while (glob[globIndex] === "*") globIndex++;
  return globIndex === glob.length;
}

function parseAuthority(authority: string): Pick<Address, "host" | "port"> {
  const match = AUTHORITY.exec(authority);
  if (match === null) throw new InvalidAddressError("the host is not a DNS name or an IP address");
  const [, ipv6, dnsName = "", port] = match;
  if (port !== undefined && !PORT.test(port)) {
    throw new InvalidAddressError("the port has to be a number; a * stands only within a label of the host");
  }
  if (ipv6 !== undefined) {
    if (port === undefined) {
      throw new InvalidAddressError("kubelet never matches an IPv6 address without a port; add the port");
    }
    return { host: ipv6, port };
  }
  if (!dnsName.split(".").every((label) => LABEL.test(label))) {
    throw new InvalidAddressError("each label of the host has to be letters, digits, - and *, not empty");
  }
  if (port === undefined && /^[^.A-Z*]+$/.test(dnsName) && dnsName !== "localhost") {
    throw new InvalidAddressError(
      "the host of an image has a dot or a port, or is localhost; without them the image is Docker Hub's",
    );
  }
  return { host: dnsName, port: port ?? "" };
}

function checkPath(path: string): void {
  if (path.includes("*")) throw new InvalidAddressError("a * stands only in the host, never in the path");
  if (!isRepositoryPath(path)) {
    throw new InvalidAddressError(
      "the path cannot begin a repository: those are lower case, without empty parts",
    );
  }
}
