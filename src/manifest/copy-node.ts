/** Copies parts of a document that aliases name, with what is added to them. */
import { Document, isAlias, isMap, isNode, isSeq, Scalar, visit, type Node, type ScalarTag } from "yaml";
import type { Addition } from "./addition.ts";
import { MERGE_KEY, pairOf } from "./parse-manifests.ts";

/**
 * A part of a document on one line, with copies of what its aliases name and with additions below it. Numbers and all that is
 * not quoted are as they were written.
 */
export function flowCopyOf(part: Node, document: Document, additions: readonly Addition[]): string {
  const copy = new Document();
  copy.contents = withoutAliases(part, document);
  addTo(copy, additions);
  visit(copy, {
    Node(_key, node) {
      node.comment = null;
      node.commentBefore = null;
      if ("spaceBefore" in node) delete node.spaceBefore;
    },
  });
  return format(copy, { collectionStyle: "flow" }).trim();
}

/** The whole document again from its syntax tree, with copies of the aliases on the way to an addition. */
export function reformatted(document: Document, additions: readonly Addition[]): string {
  const copy = document.clone();
  for (const { path } of additions) {
    for (let length = 1; length <= path.length; length++) {
      const node = copy.getIn(path.slice(0, length), true);
      if (isAlias(node)) copy.setIn(path.slice(0, length), withoutAliases(node, copy));
    }
  }
  addTo(copy, additions);
  return format(copy);
}

/** What a merge key gives a mapping for a key that it does not have itself. */
export function mergedMember(map: Node, key: string, document: Document): Node | undefined {
  for (const source of mergeSources(map, document)) {
    const base = resolved(source, document);
    const own = isMap(base) ? pairOf(base, key)?.value : undefined;
    const member = own ?? (isMap(base) ? mergedMember(base, key, document) : undefined);
    if (isNode(member)) return member;
  }
  return undefined;
}

/** The mappings that a merge key names, the first of which counts; most are aliases. */
export function mergeSources(map: Node, document: Document): readonly unknown[] {
  const value = isMap(map) ? pairOf(map, MERGE_KEY)?.value : undefined;
  const list = resolved(value, document);
  return isSeq(list) ? list.items : [value];
}

function addTo(copy: Document, additions: readonly Addition[]): void {
  for (const { path, value, target } of additions) {
    if (target === "member") copy.setIn(path, copy.createNode(value));
    else for (const element of value) copy.addIn(path, copy.createNode(element));
  }
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

/** What was written without quotes and is not a string for the library, which knows fewer octal numbers than kubectl. */
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

function format(copy: Document, options: { readonly collectionStyle?: "flow" } = {}): string {
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
