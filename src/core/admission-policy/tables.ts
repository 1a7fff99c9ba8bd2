/** The registries of a configuration as literals of CEL, each in as many variables of a policy as it takes. */
import { compareSpecificity, type Address } from "../address.ts";
import { formatSelector, type LabelSelector } from "../labels.ts";
import { countCodePoints, MAX_CODE_POINTS, type PolicyVariable } from "./limits.ts";
import type { Registry } from "../registry.ts";

/** A literal of CEL: its escapes are those of JSON, of which names and addresses need none. */
export function text(value: string): string {
  return JSON.stringify(value);
}

/** What a selector asks for, as a literal: each requirement is a map of strings. No label value holds a comma. */
function selectorLiteral({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const requirements = [
    ...Object.entries(matchLabels).map(([key, value]) => ({ key, operator: "In", values: value })),
    ...matchExpressions.map(({ key, operator, values }) => ({ key, operator, values: values?.join(",") })),
  ];
  return `[${requirements.map(writeMap).join(", ")}]`;
}

/** All values are strings, because a map and a list in CEL have elements of one type. */
function writeMap(fields: Readonly<Record<string, string | undefined>>): string {
  const members = Object.entries(fields).flatMap(([key, value]) =>
    value === undefined ? [] : `${text(key)}: ${text(value)}`,
  );
  return `{${members.join(", ")}}`;
}

/** What an image's `host/path/` is compared with if an address has a `*`. */
export interface Glob {
  /** It begins like this. */
  readonly prefix: string;
  /** It contains this. Both are implied by the pattern, which is compiled each time and so takes a hundred times as long. */
  readonly tail: string;
  /** It matches this, in which each `*` is any run without a dot. */
  readonly pattern: string;
}

/*
 * host         | prefix           | tail                    | the host in the pattern
 * with dots    | before the first | after the last and port | as it is
 * without dots | none             | port                    | as it is, or in the brackets of an IPv6 address
 */
export function globOf({ host, port }: Pick<Address, "host" | "port">): Glob {
  const end = port === "" ? "/" : `:${port}/`;
  const withRun = (run: string): string => host.replaceAll(".", "\\.").replaceAll("*", run);
  if (!host.includes(".")) {
    const hosts = `(?:${withRun("[^.:/\\[]*")}|\\[${withRun("[^.\\]]*")}\\])`;
    return { prefix: "", tail: end, pattern: `^${hosts}${end}` };
  }
  return {
    prefix: host.slice(0, host.indexOf("*")),
    tail: `${host.slice(host.lastIndexOf("*") + 1)}${end}`,
    pattern: `^${withRun("[^.:/]*")}${end}`,
  };
}

/** A host with `*`, maybe with a port, and how it is compared. */
export interface HostGlob {
  readonly authority: string;
  readonly glob: Glob;
}

/** Each once, however many paths are below it. */
export function findGlobs(registries: readonly Registry[]): readonly HostGlob[] {
  const addresses = registries.flatMap(({ address }) =>
    address.isWildcard ? [[address.authority, address] as const] : [],
  );
  return [...new Map(addresses)].map(([authority, address]) => ({ authority, glob: globOf(address) }));
}

type Lists = "registryNames" | "secretNames" | "ranks" | "selectorKeys" | "sharing";
type Tables = Readonly<
  Record<Lists | "selectors" | "addresses" | "globs" | "positions" | "shared", readonly PolicyVariable[]>
>;

export function writeTables(registries: readonly Registry[], globs: readonly HostGlob[]): Tables {
  const ranked = rankAddresses(registries);
  const rankOf = new Map(ranked.map(({ address }, rank) => [address.text, rank]));
  const shared = sharedSecrets(registries);
  const selectors = new Map(
    registries.flatMap(({ namespaces }) =>
      namespaces === undefined ? [] : [[formatSelector(namespaces), namespaces]],
    ),
  );
  return {
    selectors: cut(
      "selectors",
      "{}",
      "What registries ask of the labels of the namespace.",
      [...selectors].map(([key, selector]) => `${text(key)}: ${selectorLiteral(selector)}`),
    ),
    ...writeLists(registries, rankOf, shared),
    addresses: cut(
      "addresses",
      "{}",
      "The most specific first, with the positions of their registries.",
      ranked.map(({ address, positions }) => `${text(`${address.text}/`)}: [${positions.join(", ")}]`),
    ),
    globs: cut(
      "globs",
      "[]",
      "How a host is compared with those that have a *.",
      globs.map(({ authority, glob }) => writeMap({ authority, ...glob })),
    ),
    positions: cut(
      "positions",
      "{}",
      "The positions of registries by their names.",
      registries.map(({ name }, position) => `${text(name)}: ${position.toString()}`),
    ),
    shared: cut(
      "shared",
      "[]",
      "The positions of registries that have a pull secret in common.",
      [...shared.values()].map((positions) => `[${positions.join(", ")}]`),
    ),
  };
}

/** Lists have an entry for each registry, in the order of the configuration: its position there is what expressions pass on. */
function writeLists(
  registries: readonly Registry[],
  rankOf: ReadonlyMap<string, number>,
  shared: ReadonlyMap<string, unknown>,
): Pick<Tables, Lists> {
  return {
    registryNames: cut(
      "registryNames",
      "[]",
      "In the order of the configuration; what is called a position below is one in this list.",
      registries.map(({ name }) => text(name)),
    ),
    secretNames: cut(
      "secretNames",
      "[]",
      "The pull secret of each registry.",
      registries.map(({ secretName }) => text(secretName)),
    ),
    ranks: cut(
      "ranks",
      "[]",
      "How specific the address of each registry is: the lowest is the most specific.",
      registries.map(({ address }) => String(rankOf.get(address.text))),
    ),
    selectorKeys: cut(
      "selectorKeys",
      "[]",
      "What each registry asks of the labels of the namespace; empty if it is for all.",
      registries.map(({ namespaces }) => text(namespaces === undefined ? "" : formatSelector(namespaces))),
    ),
    sharing: cut(
      "sharing",
      "[]",
      "Whether another registry has the same pull secret.",
      registries.map(({ secretName }) => String(shared.has(secretName))),
    ),
  };
}

/** The addresses, the most specific first, each with the positions of the registries that have it. */
function rankAddresses(
  registries: readonly Registry[],
): readonly { readonly address: Address; readonly positions: readonly number[] }[] {
  const byAddress = Map.groupBy(registries.entries(), ([, { address }]) => address.text);
  return [...byAddress.values()]
    .flatMap((members) => {
      const positions = members.map(([position]) => position);
      return members.slice(0, 1).map(([, { address }]) => ({ address, positions }));
    })
    .sort((a, b) => compareSpecificity(a.address, b.address));
}

/** The positions of the registries that have a pull secret in common, by the secret. */
function sharedSecrets(registries: readonly Registry[]): ReadonlyMap<string, readonly number[]> {
  const bySecret = Map.groupBy(registries.entries(), ([, { secretName }]) => secretName);
  return new Map(
    [...bySecret].flatMap(([secret, sharing]) =>
      sharing.length > 1 ? [[secret, sharing.map(([position]) => position)] as const] : [],
    ),
  );
}

/** Of one expression, which is compiled as a whole. */
const MAX_ENTRIES = 500;
/** A comment and the brackets have the rest. */
const MAX_PART_CODE_POINTS = MAX_CODE_POINTS - 500;
/** Two blanks, a comma and the end of the line. */
const SEPARATOR_LENGTH = 4;

/** One variable, or several with numbers where the entries do not fit in one expression. At least one, maybe empty. */
function cut(
  name: string,
  brackets: "[]" | "{}",
  comment: string,
  entries: readonly string[],
): readonly PolicyVariable[] {
  const [open = "", close = ""] = brackets;
  const parts: string[][] = [[]];
  let codePoints = 0;
  for (const entry of entries) {
    const length = countCodePoints(entry) + SEPARATOR_LENGTH;
    if (parts.at(-1)?.length === MAX_ENTRIES || codePoints + length > MAX_PART_CODE_POINTS) {
      parts.push([]);
      codePoints = 0;
    }
    parts.at(-1)?.push(entry);
    codePoints += length;
  }
  return parts.map((part, number) => ({
    name: parts.length === 1 ? name : `${name}${number.toString()}`,
    expression: `// ${comment}\n${open}\n${part.map((entry) => `  ${entry}`).join(",\n")}\n${close}`,
  }));
}

export function joinLists(name: string, parts: readonly PolicyVariable[]): readonly PolicyVariable[] {
  if (parts.length === 1) return parts;
  const expression = parts.map((part) => `variables.${part.name}`).join("\n  + ");
  return [...parts, { name, expression }];
}
