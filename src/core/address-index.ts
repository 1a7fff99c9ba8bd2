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
    (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0);

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

/** Globs for one port by what is after their last `*`. */
interface Tails<V> {
  readonly port: string;
  readonly length: number;
  readonly byTail: Map<string, Heads<V>[]>;
}

/** Globs with one tail by what is before their first `*`. */
interface Heads<V> {
  readonly length: number;
  /** The first characters of them all, which tell most hosts that nothing here is for them. */
  readonly firsts: Set<string | undefined>;
  readonly byHead: Map<string, Glob<V>[]>;
}

interface Glob<V> {
  readonly host: string;
  readonly value: V;
}

/**
 * Values for hosts with `*`. A host is compared only with globs for its port and number of labels that end and begin as it does. To
 * find those takes a lookup for each length of such an end: a configuration has a few.
 */
class GlobIndex<V> {
  /** A `*` stands for no dot, so what a glob matches has as many labels. */
  readonly #byLabels = new Map<number, Tails<V>[]>();

  getOrInsertComputed({ host, port }: Address, create: () => V): V {
    const tail = host.slice(host.lastIndexOf("*") + 1);
    const head = host.slice(0, host.indexOf("*"));
    const ofPort = this.#byLabels.getOrInsertComputed(labelsOf(host), () => []);
    let tails = ofPort.find((other) => other.port === port && other.length === tail.length);
    if (tails === undefined) ofPort.push((tails = { port, length: tail.length, byTail: new Map() }));
    const withTail = tails.byTail.getOrInsertComputed(tail, () => []);
    let heads = withTail.find((other) => other.length === head.length);
    if (heads === undefined)
      withTail.push((heads = { length: head.length, firsts: new Set(), byHead: new Map() }));
    heads.firsts.add(head[0]);
    const alike = heads.byHead.getOrInsertComputed(head, () => []);
    let glob = alike.find((other) => other.host === host);
    if (glob === undefined) alike.push((glob = { host, value: create() }));
    return glob.value;
  }

  matching(authority: string): readonly V[] {
    const found: V[] = [];
    if (this.#byLabels.size === 0) return found;
    const { host, port } = splitPort(authority);
    if (host.length > MAX_HOST_LENGTH) return found;
    for (const tails of this.#byLabels.get(labelsOf(host)) ?? []) {
      if (tails.port !== port) continue;
      // Where the ends of a host overlap, it is too short for the glob, which does not match.
      for (const heads of tails.byTail.get(host.slice(host.length - tails.length)) ?? []) {
        if (heads.length > 0 && !heads.firsts.has(host[0])) continue;
        for (const glob of heads.byHead.get(host.slice(0, heads.length)) ?? []) {
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
