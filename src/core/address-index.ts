/** Finds the addresses that cover a repository, in time that does not grow with the number of addresses. */
import { compareSpecificity, globMatches, splitPort, type Address, type Repository } from "./address.ts";

/** What covers a repository, the most specific address first; entries with the same address are together, in their order. */
export type Covering<T> = readonly (readonly T[])[];

/** The entries of one address. */
interface Group<T> {
  readonly address: Address;
  readonly entries: T[];
}

/** A host, or one component of a path below it. */
interface Node<T> {
  /** The entries whose address ends here. */
  group: Group<T> | undefined;
  readonly children: Map<string, Node<T>>;
  /** What covers the repositories here and below: the longest path first, which is the most specific. */
  covering: Covering<T>;
}

export function indexAddresses<T extends { readonly address: Address }>(
  entries: readonly T[],
): (repository: Repository) => Covering<T> {
  const hosts = new Map<string, Node<T>>();
  const globs = new GlobIndex<Node<T>>();
  const roots = new Set<Node<T>>();
  const groups: Group<T>[] = [];
  for (const entry of entries) {
    const { address } = entry;
    const root = address.isWildcard
      ? globs.getOrInsertComputed(address, newNode<T>)
      : hosts.getOrInsertComputed(address.authority, newNode<T>);
    roots.add(root);
    let node = root;
    for (const component of address.path === "" ? [] : address.path.split("/")) {
      node = node.children.getOrInsertComputed(component, newNode<T>);
    }
    if (node.group === undefined) groups.push((node.group = { address, entries: [] }));
    node.group.entries.push(entry);
  }
  for (const root of roots) setCovering(root, []);
  groups.sort((a, b) => compareSpecificity(a.address, b.address));
  const ranks = new Map(groups.map((group, rank) => [group.entries as readonly T[], rank]));
  const bySpecificity = (a: readonly T[], b: readonly T[]): number =>
    Number(ranks.get(a)) - Number(ranks.get(b));

  const rootsFor = (authority: string): readonly Node<T>[] => {
    const host = hosts.get(authority);
    const matching = globs.matching(authority);
    return host === undefined ? matching : [host, ...matching];
  };
  // The images of a pod mostly come from one host, and those of many hosts are mostly covered by the same few addresses.
  let lastAuthority = "";
  let lastRoots: readonly Node<T>[] = [];
  let lastParts: readonly Covering<T>[] = [];
  let lastMerged: Covering<T> = [];
  return ({ authority, path }) => {
    if (authority !== lastAuthority) {
      lastAuthority = authority;
      lastRoots = rootsFor(authority);
    }
    const parts = lastRoots.map((root) => coveringIn(root, path));
    const [first] = parts;
    if (first !== undefined && parts.length === 1) return first;
    if (!isSameList(parts, lastParts)) {
      lastParts = parts;
      lastMerged = parts.flat().sort(bySpecificity);
    }
    return lastMerged;
  };
}

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((element, index) => element === other[index]);
}

function setCovering<T>(node: Node<T>, above: Covering<T>): void {
  node.covering = node.group === undefined ? above : [node.group.entries, ...above];
  for (const child of node.children.values()) setCovering(child, node.covering);
}

/** Follows the path as far as there are addresses, so that a long path costs no more than a short one. */
function coveringIn<T>(host: Node<T>, path: string): Covering<T> {
  let node = host;
  for (let start = 0; node.children.size > 0 && start < path.length;) {
    const slash = path.indexOf("/", start);
    const end = slash < 0 ? path.length : slash;
    const child = node.children.get(path.slice(start, end));
    if (child === undefined) break;
    node = child;
    start = end + 1;
  }
  return node.covering;
}

function newNode<T>(): Node<T> {
  return { group: undefined, children: new Map(), covering: [] };
}

/** No name of a host is longer (RFC 1035, section 2.3.4, as text and without the last dot). */
const MAX_HOST_LENGTH = 253;

/** Globs for one port, by what follows their last `*`. */
interface SuffixGroup<V> {
  readonly port: string;
  readonly length: number;
  readonly bySuffix: Map<string, PrefixGroup<V>[]>;
}

/** Globs with one suffix, by what precedes their first `*`. */
interface PrefixGroup<V> {
  readonly length: number;
  /** The first characters of all prefixes, which rule out most hosts. */
  readonly firsts: Set<string | undefined>;
  readonly byPrefix: Map<string, Glob<V>[]>;
}

interface Glob<V> {
  readonly host: string;
  readonly value: V;
}

/**
 * Values for hosts with `*`. A host is compared only with globs that have its port, its number of labels, its prefix and its
 * suffix, which takes a lookup for each length of a suffix: a configuration has a few.
 */
class GlobIndex<V> {
  /** A `*` matches no dot, so a glob and a host that it matches have the same number of labels. */
  readonly #byLabels = new Map<number, SuffixGroup<V>[]>();

  getOrInsertComputed({ host, port }: Address, create: () => V): V {
    const suffix = host.slice(host.lastIndexOf("*") + 1);
    const prefix = host.slice(0, host.indexOf("*"));
    const ofPort = this.#byLabels.getOrInsertComputed(labelsOf(host), () => []);
    let group = ofPort.find((other) => other.port === port && other.length === suffix.length);
    if (group === undefined) ofPort.push((group = { port, length: suffix.length, bySuffix: new Map() }));
    const withSuffix = group.bySuffix.getOrInsertComputed(suffix, () => []);
    let subgroup = withSuffix.find((other) => other.length === prefix.length);
    if (subgroup === undefined)
      withSuffix.push((subgroup = { length: prefix.length, firsts: new Set(), byPrefix: new Map() }));
    subgroup.firsts.add(prefix[0]);
    const alike = subgroup.byPrefix.getOrInsertComputed(prefix, () => []);
    let glob = alike.find((other) => other.host === host);
    if (glob === undefined) alike.push((glob = { host, value: create() }));
    return glob.value;
  }

  matching(authority: string): readonly V[] {
    const found: V[] = [];
    if (this.#byLabels.size === 0) return found;
    const { host, port } = splitPort(authority);
    if (host.length > MAX_HOST_LENGTH) return found;
    for (const group of this.#byLabels.get(labelsOf(host)) ?? []) {
      if (group.port !== port) continue;
      // Where the ends of a host overlap, it is too short for the glob, which does not match.
      for (const subgroup of group.bySuffix.get(host.slice(host.length - group.length)) ?? []) {
        if (subgroup.length > 0 && !subgroup.firsts.has(host[0])) continue;
        for (const glob of subgroup.byPrefix.get(host.slice(0, subgroup.length)) ?? []) {
          if (globMatches(glob.host, host)) found.push(glob.value);
        }
      }
    }
    return found;
  }
}

function labelsOf(host: string): number {
  let labels = 1;
  for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) labels++;
  return labels;
}
