/**
 * Adds to YAML (and JSON) text without touching the rest of it: comments, order, quotes, spaces and numbers of any size
 * stay as they are, because nothing is written again that was there before.
 */
import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  Scalar,
  stringify,
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
      return replaceScalar(source, place.pair, contentAt(place.path, addition, document, additions));
    case "member":
      return addMember(source, place, contentAt(place.path, addition, document, additions));
    case "alias":
      return replaceAlias(place.alias, place.path, document, additions);
  }
}

/** A value of ours, or the text of a copy of what is elsewhere in the document. */
type Content = { readonly value: unknown } | { readonly flow: string };

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
  return !range || copy === undefined
    ? undefined
    : { start: range[0], end: range[1], text: flowTextOf(copy) };
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

/** Not of a block, which has a header and an indentation of its own. */
function replaceScalar(
  source: SourceText,
  { key, value: node }: Pair,
  content: Content | undefined,
): TextEdit | undefined {
  const isBlock = isScalar(node) && (node.type === Scalar.BLOCK_FOLDED || node.type === Scalar.BLOCK_LITERAL);
  if (isBlock || !(isScalar(node) || isAlias(node)) || !node.range || content === undefined) return undefined;
  const text = flowText(content);
  const [start, end] = node.range;
  if (start < end) return { start, end, text };
  // What is there may be a comment; the value goes before it.
  const colon = source.text.indexOf(":", endOf(key));
  return { start: colon + 1, end: colon + 1, text: ` ${text}` };
}

function addMember(
  source: SourceText,
  { map, around, key }: { readonly map: YAMLMap; readonly around: readonly YAMLMap[]; readonly key: string },
  content: Content | undefined,
): TextEdit | undefined {
  if (content === undefined) return undefined;
  if (map.flow === true) {
    const last = map.items.at(-1);
    return addToFlow(
      source,
      map,
      startOf(last?.key),
      endOf(last?.value ?? last?.key),
      (separator, indent) => {
        return `${JSON.stringify(key)}:${separator}${flowText(content, indent)}`;
      },
    );
  }
  const start = startOf(map);
  const firstKey = startOf(map.items[0]?.key);
  const lastEnd = endOf(map);
  if (start === undefined || firstKey === undefined || lastEnd === undefined) return undefined;
  const indent = source.columnOf(source.text[start] === "?" ? start : firstKey);
  const block =
    "flow" in content
      ? `${stringify(key).trimEnd()}: ${content.flow}`
      : stringify({ [key]: content.value }, { lineWidth: 0, indentSeq: indentsLists(source, around) });
  return insertLines(source, lastEnd, indent, block);
}

/** Whether the nearest lists are indented more than their keys, as some write them and others do not. */
function indentsLists(source: SourceText, around: readonly YAMLMap[]): boolean {
  for (const { items } of around.toReversed()) {
    const indents = items.flatMap(({ key, value }) => {
      if (!isSeq(value) || value.flow === true || !value.range) return [];
      return source.columnOf(value.range[0]) - source.columnOf(startOf(key) ?? 0);
    });
    if (indents.length > 0) return indents.some((indent) => indent > 0);
  }
  return false;
}

function addElements(source: SourceText, list: YAMLSeq, values: readonly unknown[]): TextEdit | undefined {
  const last = list.items.at(-1);
  if (list.flow === true) {
    return addToFlow(source, list, startOf(last), endOf(last), (_separator, indent) =>
      values
        .map((value) => flowText({ value }, indent))
        .join(indent === undefined ? ", " : `,${indent.newline}${indent.outer}`),
    );
  }
  const start = list.range?.[0];
  const lastEnd = endOf(list);
  if (start === undefined || lastEnd === undefined || source.text[start] !== "-") return undefined;
  return insertLines(source, lastEnd, source.columnOf(start), stringify(values, { lineWidth: 0 }));
}

/** Whole lines after the one that holds `offset - 1`. */
function insertLines(source: SourceText, offset: number, indent: number, block: string): TextEdit {
  const newline = source.lineBreakNear(offset);
  const lines = block
    .trimEnd()
    .split("\n")
    .map((line) => " ".repeat(indent) + line)
    .join(newline);
  // A block scalar ends where the next line begins.
  const start = source.columnOf(offset) === 0 ? offset : source.nextLine(offset);
  const isAfterOpenLine = start === source.text.length && !source.isClosed;
  return { start, end: start, text: isAfterOpenLine ? newline + lines : lines + newline };
}

/** Undefined if all stands on one line. */
type FlowIndent = { readonly outer: string; readonly unit: string; readonly newline: string } | undefined;

/** After the last element, or between the brackets, in the manner of the last element: on a line of its own, or not. */
function addToFlow(
  source: SourceText,
  collection: YAMLMap | YAMLSeq,
  lastStart: number | undefined,
  lastEnd: number | undefined,
  write: (separator: string, indent: FlowIndent) => string,
): TextEdit | undefined {
  if (!collection.range) return undefined;
  const { text } = source;
  const [open, close] = collection.range;
  if (lastStart === undefined || lastEnd === undefined) {
    return { start: open + 1, end: close - 1, text: write(" ", undefined) };
  }
  const lineStart = source.lineStart(lastStart);
  const outer = lineStart > open ? text.slice(lineStart, lastStart) : undefined;
  const comma = /^\s*,/.exec(text.slice(lastEnd, close - 1))?.[0] ?? "";
  const start = lastEnd + comma.length;
  const lead = comma === "" ? "," : "";
  if (outer?.trim() !== "") {
    const isCompact = !/[,:]\s/.test(text.slice(open, close));
    const separator = isCompact ? "" : " ";
    return { start, end: start, text: `${lead}${separator}${write(separator, undefined)}` };
  }
  const openLine = text.slice(source.lineStart(open), open);
  const openIndent = /^ */.exec(openLine)?.[0].length ?? 0;
  const unit = outer.includes("\t") ? "\t" : " ".repeat(Math.max(outer.length - openIndent, 1));
  const newline = source.lineBreakNear(lastStart);
  return { start, end: start, text: `${lead}${newline}${outer}${write(" ", { outer, unit, newline })}` };
}

function flowText(content: Content, indent?: FlowIndent): string {
  if ("flow" in content) return content.flow;
  if (indent === undefined) return JSON.stringify(content.value);
  return JSON.stringify(content.value, null, indent.unit).replaceAll("\n", indent.newline + indent.outer);
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

/** Where a node's own text ends, before what comes after it on its line. */
function endOf(node: unknown): number | undefined {
  if (isMap(node) && node.flow !== true) {
    const last = node.items.at(-1);
    return endOf(last?.value) ?? endOf(last?.key);
  }
  if (isSeq(node) && node.flow !== true) return endOf(node.items.at(-1));
  return isNode(node) ? node.range?.[1] : undefined;
}
