/**
 * Writes into YAML (and JSON) text without touching the rest of it: comments, order, quotes, spaces and numbers of any size
 * stay as they are, because nothing is written again that was there before.
 */
import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  Scalar,
  stringify,
  type Pair,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import type { SourceText } from "../yaml/source-text.ts";

/** A string to put in the place of another, or between two characters. */
export interface TextEdit {
  readonly start: number;
  /** Equal to `start` where nothing is taken out. */
  readonly end: number;
  readonly text: string;
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

/** A value of ours, or a copy of what is elsewhere in the document, on one line. */
export type Content = { readonly value: unknown } | { readonly flow: string };

/** Not of a block, which has a header and an indentation of its own. */
export function replaceScalar(
  source: SourceText,
  { key, value: node }: Pair,
  value: unknown,
): TextEdit | undefined {
  const isBlock = isScalar(node) && (node.type === Scalar.BLOCK_FOLDED || node.type === Scalar.BLOCK_LITERAL);
  if (isBlock || !isScalar(node) || !node.range) return undefined;
  const text = JSON.stringify(value);
  const [start, end] = node.range;
  if (start < end) return { start, end, text };
  // What is there may be a comment; the value goes before it.
  const colon = source.text.indexOf(":", endOf(key));
  return { start: colon + 1, end: colon + 1, text: ` ${text}` };
}

/** `around` are the mappings that the member is in, the innermost last. */
export function addMember(
  source: SourceText,
  around: readonly YAMLMap[],
  key: string,
  content: Content,
): TextEdit | undefined {
  const map = around.at(-1);
  if (map === undefined) return undefined;
  if (map.flow === true) {
    const last = map.items.at(-1);
    const [start, end] = [startOf(last?.key), endOf(last?.value ?? last?.key)];
    return addToFlow(
      source,
      map,
      start,
      end,
      (separator, indent) => `${JSON.stringify(key)}:${separator}${flowText(content, indent)}`,
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

export function addElements(
  source: SourceText,
  list: YAMLSeq,
  values: readonly unknown[],
): TextEdit | undefined {
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

/** Undefined if everything is on one line. */
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
