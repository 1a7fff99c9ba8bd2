/** Copies parts of a document that it names by aliases, with what is added to them. */
import { isAlias, isMap, isNode, isSeq, Scalar, visit, type Document, type Node, type ScalarTag } from "yaml";
import type { Addition, ManifestPath } from "./addition.ts";
import { MERGE_KEY, pairOf } from "./pairs.ts";

/** A copy of what is at a path, wherever an alias or a merge key has it from, with the additions below that path. */
export function copyOf(
  document: Document,
  path: ManifestPath,
  additions: readonly Addition[],
): Document | undefined {
  const original = nodeAt(document, path);
  if (!isNode(original)) return undefined;
  const copy = document.clone();
  copy.contents = withoutAliases(original, document);
  addTo(copy, additionsBelow(path, additions));
  return copy;
}

/** On one line, numbers and all that is not quoted as they were written. */
export function flowTextOf(copy: Document): string {
  visit(copy, {
    Node(_key, node) {
      node.comment = null;
      node.commentBefore = null;
      if ("spaceBefore" in node) delete node.spaceBefore;
    },
  });
  copy.comment = null;
  copy.commentBefore = null;
  if (copy.directives !== undefined) {
    copy.directives.docStart = null;
    copy.directives.docEnd = false;
  }
  return getString(copy, { collectionStyle: "flow" }).trim();
}

/** The whole document again from its syntax tree, aliases on the way to an addition as copies. */
export function reformatted(document: Document, additions: readonly Addition[]): string {
  const copy = document.clone();
  for (const { path } of additions) {
    for (let length = 1; length <= path.length; length++) {
      const node = copy.getIn(path.slice(0, length), true);
      if (isAlias(node)) copy.setIn(path.slice(0, length), withoutAliases(node, copy));
    }
  }
  addTo(copy, additions);
  return getString(copy);
}

function additionsBelow(path: ManifestPath, additions: readonly Addition[]): readonly Addition[] {
  return additions
    .filter((addition) => path.every((key, depth) => key === addition.path[depth]))
    .map((addition) => ({ ...addition, path: addition.path.slice(path.length) }));
}

function addTo(copy: Document, additions: readonly Addition[]): void {
  for (const { path, value, target } of additions) {
    if (target === "member") copy.setIn(path, copy.createNode(value));
    else for (const element of value) copy.addIn(path, copy.createNode(element));
  }
}

function nodeAt(document: Document, path: ManifestPath): unknown {
  return path.reduce<unknown>((node, key) => {
    const container = resolved(node, document);
    if (isSeq(container)) return container.items[Number(key)];
    return isMap(container) ? memberOf(container, key.toString(), document) : undefined;
  }, document.contents);
}

/** Its own member, or that of a mapping that is merged into it. */
function memberOf(map: { readonly items: readonly unknown[] }, key: string, document: Document): unknown {
  const own = pairOf(map, key);
  if (own !== undefined) return own.value;
  const merged = resolved(pairOf(map, MERGE_KEY)?.value, document);
  for (const source of isSeq(merged) ? merged.items : [merged]) {
    const base = resolved(source, document);
    const member = isMap(base) ? memberOf(base, key, document) : undefined;
    if (member !== undefined) return member;
  }
  return undefined;
}

function resolved(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function withoutAliases(node: Node, document: Document): Node {
  const original = resolved(node, document);
  const copy = (isNode(original) ? original : new Scalar(null)).clone() as Node;
  if ("anchor" in copy) delete copy.anchor;
  visit(copy, {
    Alias: (_key, alias) => withoutAliases(alias, document),
    Value(_key, child) {
      if ("anchor" in child) delete child.anchor;
    },
  });
  return copy;
}

/** What was written without quotes and is no string for the library, which knows fewer octal numbers than kubectl. */
class Unquoted {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

const UNQUOTED: ScalarTag = {
  tag: "!unquoted",
  default: true,
  identify: (value) => value instanceof Unquoted,
  resolve: (source) => new Unquoted(source),
  stringify: ({ value }) => (value as Unquoted).source,
  test: /(?!)/,
};

function getString(copy: Document, options: { readonly collectionStyle?: "flow" } = {}): string {
  copy.setSchema("1.2", { customTags: (tags) => [...tags, UNQUOTED], merge: true });
  visit(copy, {
    Scalar(_key, node) {
      const { type, source, value } = node;
      if (type === Scalar.PLAIN && source !== undefined && typeof value !== "string")
        node.value = new Unquoted(source);
    },
  });
  return copy.toString({ lineWidth: 0, flowCollectionPadding: false, ...options });
}
