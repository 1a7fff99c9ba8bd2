/** Finds the places in the text of a document where additions go, and which parts that aliases share need a copy. */
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  visit,
  type Alias,
  type Document,
  type Node,
  type Pair,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import type { Addition, ManifestPath } from "./addition.ts";
import { copyOf, flowTextOf } from "./copy-node.ts";
import { keyName, pairOf } from "./pairs.ts";
import type { SourceText } from "./source-text.ts";
import type { TextEdit } from "./text-edit.ts";
import { addElements, addMember, replaceScalar, type Content } from "./write-into-text.ts";

/** How far copies go where a document names a part of itself by an alias. */
export type AliasPolicy =
  /** What is added to the part reaches the places that name it, too. */
  | "share"
  /** A place on the way to an addition gets a copy of its own. */
  | "copy-target"
  /** Every place that names a part which gets an addition gets a copy of its own. */
  | "copy-all";

/**
 * The edits that make all additions, or undefined where the text has no plain place for one. Callers check what comes out by
 * reading it again.
 */
export function editsForAdditions(
  source: SourceText,
  document: Document,
  additions: readonly Addition[],
  aliases: AliasPolicy,
): readonly TextEdit[] | undefined {
  const edits = new Map<string, TextEdit>();
  for (const addition of additions) {
    const place = placeFor(document, addition);
    if (place === undefined) return undefined;
    if (aliases === "share" && isElsewhere(place, addition)) continue;
    const edit = editAt(place, addition, source, document, additions);
    if (edit === undefined) return undefined;
    edits.set(JSON.stringify([place.kind, place.path]), edit);
  }
  if (aliases !== "copy-all") return [...edits.values()];
  return [...edits.values(), ...copiesOfShared(document, additions, edits)];
}

/** Where the text has room for an addition: the deepest part on the way to it that belongs to the document itself. */
type Place = { readonly path: ManifestPath } & (
  | { readonly kind: "elements"; readonly list: YAMLSeq; readonly values: readonly unknown[] }
  /** There is nothing for the key yet, or a merge key has it from elsewhere. `around` are the mappings, its own last. */
  | {
      readonly kind: "member";
      readonly map: YAMLMap;
      readonly around: readonly YAMLMap[];
      readonly key: string;
    }
  /** The key has no value, or `null`, or a scalar that gets another value. */
  | { readonly kind: "scalar"; readonly pair: Pair }
  /** It is another part's, by an alias. */
  | { readonly kind: "alias"; readonly alias: Alias }
);

function placeFor(document: Document, { path, target, value }: Addition): Place | undefined {
  const around: YAMLMap[] = [];
  let node: unknown = document.contents;
  for (const [depth, key] of path.entries()) {
    const here = path.slice(0, depth);
    const child = path.slice(0, depth + 1);
    if (isAlias(node)) return { kind: "alias", path: here, alias: node };
    if (isMap(node)) {
      around.push(node);
      const pair = pairOf(node, key.toString());
      if (pair === undefined) return { kind: "member", path: child, map: node, around, key: key.toString() };
      const isTarget = target === "member" && child.length === path.length;
      if (isTarget || isEmpty(pair.value)) return { kind: "scalar", path: child, pair };
      node = pair.value;
    } else if (isSeq(node)) node = node.items[Number(key)];
    else return undefined;
  }
  if (isAlias(node)) return { kind: "alias", path, alias: node };
  if (target === "elements" && isSeq(node)) return { kind: "elements", path, list: node, values: value };
  return undefined;
}

/** Whether the document has the part that gets the addition at another place, too: an alias or a merge key names it. */
function isElsewhere({ kind, path }: Place, addition: Addition): boolean {
  return kind === "alias" || (kind === "member" && !isWhole(path, addition));
}

/** Whether an addition is all that is to be at a path: nothing of it is there yet. */
function isWhole(path: ManifestPath, addition: Addition): boolean {
  return addition.target === "member" && addition.path.length === path.length;
}

function isEmpty(value: unknown): boolean {
  return value === null || (isScalar(value) && value.value === null);
}

function editAt(
  place: Place,
  addition: Addition,
  source: SourceText,
  document: Document,
  additions: readonly Addition[],
): TextEdit | undefined {
  switch (place.kind) {
    case "elements":
      return addElements(source, place.list, place.values);
    case "scalar":
    case "member": {
      const content = contentAt(place.path, addition, document, additions);
      if (content === undefined) return undefined;
      if (place.kind === "scalar") return replaceScalar(source, place.pair, content);
      return addMember(source, place, content);
    }
    case "alias":
      return replaceAlias(place.alias, place.path, document, additions);
  }
}

function contentAt(
  path: ManifestPath,
  addition: Addition,
  document: Document,
  additions: readonly Addition[],
): Content | undefined {
  if (isWhole(path, addition)) return { value: addition.value };
  const copy = copyOf(document, path, additions);
  return copy === undefined ? undefined : { flow: flowTextOf(copy) };
}

function replaceAlias(
  { range }: Alias,
  path: ManifestPath,
  document: Document,
  additions: readonly Addition[],
): TextEdit | undefined {
  const copy = copyOf(document, path, additions);
  if (!range || copy === undefined) return undefined;
  return { start: range[0], end: range[1], text: flowTextOf(copy) };
}

/** Copies for the places that name a part which changes, but for those that get one already. */
function copiesOfShared(
  document: Document,
  additions: readonly Addition[],
  edits: ReadonlyMap<string, TextEdit>,
): readonly TextEdit[] {
  const changed = new Set(additions.flatMap(({ path }) => anchorsOnTheWay(document, path)));
  const done = new Set([...edits.values()].map(({ start }) => start));
  const copies: TextEdit[] = [];
  visit(document, {
    Alias(_key, alias, ancestors) {
      if (!changed.has(alias.source) || done.has(alias.range?.[0] ?? -1)) return;
      const edit = replaceAlias(alias, pathOf(alias, ancestors), document, additions);
      if (edit !== undefined) copies.push(edit);
    },
  });
  return copies;
}

function anchorsOnTheWay(document: Document, path: ManifestPath): readonly string[] {
  const anchors: string[] = [];
  let node: unknown = document.contents;
  for (const key of [...path, ""]) {
    if ((isMap(node) || isSeq(node)) && node.anchor !== undefined) anchors.push(node.anchor);
    if (isMap(node)) node = pairOf(node, key.toString())?.value;
    else if (isSeq(node)) node = node.items[Number(key)];
    else break;
  }
  return anchors;
}

function pathOf(node: Node, ancestors: readonly unknown[]): ManifestPath {
  return ancestors.flatMap((ancestor, depth): ManifestPath => {
    if (isPair(ancestor)) return [keyName(ancestor.key) ?? ""];
    const child = ancestors[depth + 1] ?? node;
    return isSeq(ancestor) ? [ancestor.items.indexOf(child)] : [];
  });
}
