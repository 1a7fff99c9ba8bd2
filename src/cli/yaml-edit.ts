/**
 * Adds to YAML (and JSON) text without touching the rest of it: comments, order, quotes, spaces and numbers of any size
 * stay as they are, because nothing is written again that was there before.
 */
import {
  isMap,
  isScalar,
  isSeq,
  Scalar,
  stringify,
  type Document,
  type Node,
  type Pair,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import type { ManifestPath } from "./manifest.ts";

/** A text to put in the place of another, or between two characters. */
export interface TextEdit {
  readonly start: number;
  /** Equal to `start` where nothing is taken out. */
  readonly end: number;
  readonly text: string;
}

/** The text of a file, and how its lines end. */
export interface Layout {
  readonly source: string;
  readonly newline: string;
}

export function layoutOf(source: string): Layout {
  return { source, newline: source.includes("\r\n") ? "\r\n" : "\n" };
}

/** One member to add to a mapping (or to put in the place of an empty one), or elements to add to a list. */
export interface Addition {
  readonly path: ManifestPath;
  readonly value: unknown;
  readonly target: "member" | "elements";
}

/** Edits do not overlap. At one place the later goes first: what is added to a part ends before what is added to the whole. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  const pieces: string[] = [];
  let position = 0;
  for (const { start, end, text: inserted } of edits.toReversed().toSorted((a, b) => a.start - b.start)) {
    pieces.push(text.slice(position, start), inserted);
    position = end;
  }
  return [...pieces, text.slice(position)].join("");
}

/**
 * The edit that makes an addition, or undefined where the text has no plain place for it: behind an alias, under a merge
 * key, or in a form that is not foreseen here. Callers check what comes out by reading it again.
 */
export function editFor(
  layout: Layout,
  document: Document,
  { path, value, target }: Addition,
): TextEdit | undefined {
  if (target === "elements") {
    const list = nodeAt(document, path);
    if (!isSeq(list) || !Array.isArray(value)) return undefined;
    return list.flow === true ? addFlowElements(layout, list, value) : addBlockElements(layout, list, value);
  }
  const key = path.at(-1);
  const map = nodeAt(document, path.slice(0, -1));
  if (!isMap(map) || typeof key !== "string") return undefined;
  const existing = map.items.find((pair) => isScalar(pair.key) && pair.key.value === key);
  if (existing !== undefined) return replaceScalar(layout, existing, value);
  if (map.flow === true) return addFlowMember(layout, map, key, value);
  return addBlockMember(layout, mapsTo(document, path).toReversed(), key, value);
}

/** Aliases are not followed: what stands behind one belongs to others, too. */
function nodeAt(document: Document, path: ManifestPath): unknown {
  let node: unknown = document.contents;
  for (const key of path) {
    if (isMap(node)) node = node.items.find((pair) => isScalar(pair.key) && pair.key.value === key)?.value;
    else if (isSeq(node)) node = node.items[Number(key)];
    else return undefined;
  }
  return node;
}

/** Only a text on one line, or nothing at all, has such a simple place. */
function replaceScalar({ source }: Layout, { key, value: node }: Pair, value: unknown): TextEdit | undefined {
  const isSimple = isScalar(node) && node.type !== Scalar.BLOCK_FOLDED && node.type !== Scalar.BLOCK_LITERAL;
  if (!isSimple || !node.range) return undefined;
  const [start, end] = node.range;
  if (start < end) return { start, end, text: JSON.stringify(value) };
  // Nothing stands behind a comment, too; what is put there goes before it.
  const colon = source.indexOf(":", endOf(key));
  return { start: colon + 1, end: colon + 1, text: ` ${JSON.stringify(value)}` };
}

/** The mappings on the way to a member, its own last. */
function mapsTo(document: Document, path: ManifestPath): readonly YAMLMap[] {
  return path.map((_key, length) => nodeAt(document, path.slice(0, length))).filter((node) => isMap(node));
}

/** `maps` are the one that gets the member, and those around it. */
function addBlockMember(
  layout: Layout,
  maps: readonly YAMLMap[],
  key: string,
  value: unknown,
): TextEdit | undefined {
  const firstKey = startOf(maps[0]?.items[0]?.key);
  const lastEnd = endOf(maps[0]);
  if (firstKey === undefined || lastEnd === undefined) return undefined;
  return insertLines(
    layout,
    lastEnd,
    columnOf(layout, firstKey),
    stringify({ [key]: value }, { lineWidth: 0, indentSeq: indentsLists(layout, maps) }),
  );
}

/** Whether the nearest lists are indented more than their keys, as some write them and others do not. */
function indentsLists(layout: Layout, maps: readonly YAMLMap[]): boolean {
  for (const { items } of maps) {
    const indents = items.flatMap(({ key, value }) => {
      if (!isSeq(value) || value.flow === true || !value.range) return [];
      return columnOf(layout, value.range[0]) - columnOf(layout, startOf(key) ?? 0);
    });
    if (indents.length > 0) return indents.some((indent) => indent > 0);
  }
  return false;
}

function addBlockElements(layout: Layout, list: YAMLSeq, values: readonly unknown[]): TextEdit | undefined {
  const start = list.range?.[0];
  const lastEnd = endOf(list);
  if (start === undefined || lastEnd === undefined || layout.source[start] !== "-") return undefined;
  return insertLines(layout, lastEnd, columnOf(layout, start), stringify(values, { lineWidth: 0 }));
}

/** Whole lines after the one that holds `offset - 1`. */
function insertLines({ source, newline }: Layout, offset: number, indent: number, block: string): TextEdit {
  const lines = block
    .trimEnd()
    .split("\n")
    .map((line) => " ".repeat(indent) + line)
    .join(newline);
  if (source[offset - 1] === "\n") return { start: offset, end: offset, text: lines + newline };
  const lineEnd = source.indexOf("\n", offset);
  if (lineEnd < 0) return { start: source.length, end: source.length, text: newline + lines };
  return { start: lineEnd + 1, end: lineEnd + 1, text: lines + newline };
}

function addFlowMember(layout: Layout, map: YAMLMap, key: string, value: unknown): TextEdit | undefined {
  const last = map.items.at(-1);
  return addFlow(layout, map, startOf(last?.key), endOf(last?.value ?? last?.key), (separator, indent) => {
    return `${JSON.stringify(key)}:${separator}${formatJson(value, indent, layout.newline)}`;
  });
}

function addFlowElements(layout: Layout, list: YAMLSeq, values: readonly unknown[]): TextEdit | undefined {
  const last = list.items.at(-1);
  return addFlow(layout, list, startOf(last), endOf(last), (_separator, indent) =>
    values
      .map((value) => formatJson(value, indent, layout.newline))
      .join(indent === undefined ? ", " : `,${layout.newline}${indent.outer}`),
  );
}

/** Undefined if all stands on one line. */
type FlowIndent = { readonly outer: string; readonly unit: string } | undefined;

/** After the last element, or between the brackets, in the manner of the last element: on a line of its own, or not. */
function addFlow(
  layout: Layout,
  collection: YAMLMap | YAMLSeq,
  lastStart: number | undefined,
  lastEnd: number | undefined,
  write: (separator: string, indent: FlowIndent) => string,
): TextEdit | undefined {
  const { source, newline } = layout;
  if (!collection.range) return undefined;
  const [open, close] = collection.range;
  if (lastStart === undefined || lastEnd === undefined) {
    return { start: open + 1, end: close - 1, text: write(" ", undefined) };
  }
  // Not further back than the bracket: a file of one line may be long.
  const before = source.slice(open, lastStart);
  const lineBreak = before.lastIndexOf("\n");
  const outer = before.slice(lineBreak + 1);
  const isOnItsOwnLine = lineBreak >= 0 && outer.trim() === "";
  const comma = /^\s*,/.exec(source.slice(lastEnd, close - 1))?.[0] ?? "";
  const start = lastEnd + comma.length;
  const lead = comma === "" ? "," : "";
  if (!isOnItsOwnLine) {
    const isCompact = !/[,:]\s/.test(source.slice(open, close));
    const separator = isCompact ? "" : " ";
    return { start, end: start, text: `${lead}${separator}${write(separator, undefined)}` };
  }
  const openLine = source.slice(source.lastIndexOf("\n", open) + 1, open);
  const openIndent = /^ */.exec(openLine)?.[0].length ?? 0;
  const unit = " ".repeat(Math.max(outer.length - openIndent, 1));
  return { start, end: start, text: `${lead}${newline}${outer}${write(" ", { outer, unit })}` };
}

function formatJson(value: unknown, indent: FlowIndent, newline: string): string {
  if (indent === undefined) return JSON.stringify(value);
  return JSON.stringify(value, null, indent.unit).replaceAll("\n", newline + indent.outer);
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

/** Where a node's own text ends, before what comes after it on its line. */
function endOf(node: unknown): number | undefined {
  if (isMap(node) && node.flow !== true) {
    const last = node.items.at(-1);
    return endOf(last?.value) ?? endOf(last?.key);
  }
  if (isSeq(node) && node.flow !== true) return endOf(node.items.at(-1));
  return (node as Node | null | undefined)?.range?.[1];
}

function columnOf({ source }: Layout, offset: number): number {
  return offset - (source.lastIndexOf("\n", offset - 1) + 1);
}
