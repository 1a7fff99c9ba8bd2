/**
 * Writes the text under `.dockerconfigjson` of a copy.
 *
 * A registry's own copy is read by kubelet and by what resolves images with pull secrets as kubelet does (Knative, through
 * go-containerregistry's `authn/kubernetes`): every key that covers an image counts. The merged build secret of a
 * namespace is read by builders (go-containerregistry's default keychain, docker, BuildKit, buildah): they know no `*`,
 * look for the whole repository and then for its host, take what they find first, and try no second credential.
 */
import { atPath, compareSpecificity, coveredHosts, type Address } from "./address.ts";
import { type AddressedCredential, type Credential, encodeBase64 } from "./credential.ts";
import type { ReplicatedRegistry } from "./registry.ts";

/** A registry and its credentials, which are for its address or for more exact ones. */
export interface CredentialedRegistry {
  readonly registry: ReplicatedRegistry;
  readonly credentials: readonly AddressedCredential[];
}

/** A credential under one address, and the address that it was configured for: with `*`, if it was one of its hosts. */
interface Claim {
  readonly address: Address;
  readonly origin: Address;
  readonly credential: AddressedCredential;
}

/*
 * The keys for an address:
 *
 * address                  | the registry's own copy                     | the build secret
 * a.com                    | a.com                                       | a.com
 * a.com:5000/team          | a.com:5000/team                             | a.com:5000/team, a.com:5000 (1)
 * docker.io                | docker.io, https://index.docker.io/v1/ (2)  | docker.io, https://index.docker.io/v1/
 * docker.io/acme           | docker.io/acme, index.docker.io/acme (3)    | both, and https://index.docker.io/v1/ (1)
 * *.azurecr.io             | *.azurecr.io, and as for each of its hosts  | as for each of its hosts
 * a.com/v1/foo             | a.com/v1/v1/foo (4)                         | a.com/v1/foo, a.com (1)
 *
 * (1) Unless a registry has all of the host; the first in configuration order otherwise. Without it builders find the path
 *     only if it is the whole repository, or cut the keys to their hosts and take any of them.
 * (2) kubelet uses the second only where no key covers the image, and a `*.io` in another pull secret of the pod does.
 *     Builders know the second alone.
 * (3) Docker Hub's host in go-containerregistry, and one that kubelet never asks for.
 * (4) kubelet takes /v1 or /v2 off where a slash follows. Builders do not.
 */

/** The document of a registry's own copy. Equal input gives equal text. */
export function writePullDocument(
  registry: ReplicatedRegistry,
  credentials: readonly AddressedCredential[],
): string {
  return writeNodeDocument([{ registry, credentials }]);
}

/*
 * The same with the previous credentials beside the new ones. kubelet tries all that match, in the order of its index: the keys as Go
 * parses them, sorted by bytes, descending; keys that become one share a place, in any order. It parses a key a second time to compare it.
 *
 * key                  | in the index  | matches like  | credential
 * a.com/%23            | a.com/#       | a.com         | the new one, first
 * a.com                | a.com         | a.com         | the new one, for all who look for this key
 * https://a.com        | a.com         | a.com         | the previous one
 *
 * Behind a path it is a.com/team%23. No other key of a registry is between the first two: / and letters sort after #.
 */
export function writePullDocumentWithPrevious(
  registry: ReplicatedRegistry,
  credentials: readonly AddressedCredential[],
): string {
  const entries = nodeEntries([{ registry, credentials }]);
  const more = new Map<string, Credential>();
  for (const [key, credential] of entries) {
    const { previous } = credential;
    if (previous === undefined || key === HUB_KEY || key.startsWith("index.docker.io/")) continue;
    more.set(key.includes("/") ? `${key}%23` : `${key}/%23`, credential);
    more.set(`https://${key}`, previous);
  }
  return writeDocument(entries, more);
}

/**
 * The documents of the registries' own copies in one, for a kubelet's own `config.json`. Of two registries that claim one key the
 * more specific address has it, and of equal ones the first.
 */
export function writeNodeDocument(sources: readonly CredentialedRegistry[]): string {
  return writeDocument(nodeEntries(sources));
}

function nodeEntries(sources: readonly CredentialedRegistry[]): ReadonlyMap<string, AddressedCredential> {
  const globs = sources.flatMap(({ credentials }) => credentials.filter(({ address }) => address.isWildcard));
  const claims = [...globs.map((credential) => claim(credential)), ...sources.flatMap(claimsOf)];
  const entries = new Map<string, AddressedCredential>();
  for (const { address, credential } of mostSpecificFirst(claims)) {
    for (const key of pullKeys(address)) addUnlessThere(entries, key, credential);
  }
  return entries;
}

/**
 * The document of a build secret, from its registries in configuration order. Of two that claim one key the more specific
 * address has it, as for an image, and of equal ones the first. Equal input gives equal text.
 */
export function writeBuildDocument(sources: readonly CredentialedRegistry[]): string {
  const claims = sources.flatMap(claimsOf);
  const entries = new Map<string, Credential>();
  for (const { address, credential } of mostSpecificFirst(claims)) {
    for (const key of keysOf(address)) addUnlessThere(entries, key, credential);
  }
  for (const { address, credential } of claims) {
    addUnlessThere(entries, isHub(address) ? HUB_KEY : address.authority, credential);
  }
  return writeDocument(entries);
}

const HUB_KEY = "https://index.docker.io/v1/";

/** The concrete addresses of a registry's credentials. */
function claimsOf({ registry, credentials }: CredentialedRegistry): readonly Claim[] {
  return credentials.flatMap((credential) => {
    if (!credential.address.isWildcard) return [claim(credential)];
    return coveredHosts(credential.address, registry.hosts).map((host) => claim(credential, host));
  });
}

function claim(credential: AddressedCredential, address = credential.address): Claim {
  return { address, origin: credential.address, credential };
}

function mostSpecificFirst(claims: readonly Claim[]): readonly Claim[] {
  return claims.toSorted((a, b) => compareSpecificity(a.origin, b.origin));
}

function isHub(address: Address): boolean {
  return address.authority === "docker.io";
}

function keysOf(address: Address): readonly string[] {
  if (!isHub(address)) return [address.text];
  return [address.text, address.path === "" ? HUB_KEY : `index.${address.text}`];
}

function pullKeys(address: Address): readonly string[] {
  const isStripped = /^v[12]\//.test(address.path);
  return keysOf(isStripped ? atPath(address, `v1/${address.path}`) : address);
}

function addUnlessThere<T>(entries: Map<string, T>, key: string, credential: T): void {
  if (!entries.has(key)) entries.set(key, credential);
}

/** Members and their order are those of `kubectl create secret docker-registry`. Of `more` all that readers need, which is half of it. */
function writeDocument(
  entries: ReadonlyMap<string, Credential>,
  more: ReadonlyMap<string, Credential> = new Map(),
): string {
  const auth = ({ username, password }: Credential) => encodeBase64(`${username}:${password}`);
  const auths = Array.from(entries, ([key, credential]) => {
    const { username, password } = credential;
    return [key, { username, password, auth: auth(credential) }] as const;
  });
  const others = Array.from(more, ([key, credential]) => [key, { auth: auth(credential) }] as const);
  return JSON.stringify({ auths: Object.fromEntries([...auths, ...others]) });
}

/** What {@link writeBuildDocument} writes where builders would find nothing. */
export const EMPTY_DOCUMENT = writeDocument(new Map());
