/**
 * Divides the text of a file into its documents, as kubectl does before it parses any of them, and joins files again: a mistake
 * in one document does not affect the next, and what is not changed comes out as it went in.
 */
import { parseJson } from "../core/parse-json.ts";

/** `---` or `...` alone at the start of a line: neither can be there inside a document, not even in quotes. */
const MARKER = /(?<![^\r\n\ufeff])(?:---|\.\.\.)(?![^ \t\r\n])/g;
const LINE_BREAK = /\r\n|\r|\n/g;
/** Comments, directives and blank lines belong to the document that follows. */
const CONTENT = /(?<![^\r\n\ufeff])(?!%)[ \t]*[^ \t\r\n#\ufeff]/;

/** Joined, the parts are the text again. Each holds one document at most. */
export function splitDocuments(text: string): readonly string[] {
  const parts: string[] = [];
  let start = 0;
  let isOpen = false;
  const endAt = (end: number): void => {
    parts.push(...splitJsonValues(text.slice(start, end)));
    start = end;
    isOpen = false;
  };
  for (const { 0: marker, index } of text.matchAll(MARKER)) {
    if (marker === "...") {
      endAt(endOfLine(text, index));
    } else {
      if (isOpen || CONTENT.test(text.slice(start, index))) endAt(index);
      isOpen = true;
    }
  }
  if (start < text.length) endAt(text.length);
  return parts;
}

function endOfLine(text: string, offset: number): number {
  LINE_BREAK.lastIndex = offset;
  return LINE_BREAK.test(text) ? LINE_BREAK.lastIndex : text.length;
}

/** JSON objects one after the other, as `jq -c '.items[]'` writes them and kubectl reads them. */
function splitJsonValues(part: string): readonly string[] {
  const values: string[] = [];
  let start = 0;
  let open = /^\ufeff?(?:---[ \t]*[\r\n])?\s*(?=\{)/.exec(part)?.[0].length;
  while (open !== undefined) {
    const end = endOfJson(part, open);
    const gap = /^\s*(?=\{)/.exec(part.slice(end))?.[0].length;
    if (gap === undefined || parseJson(part.slice(open, end)) === undefined) break;
    open = end + gap;
    values.push(part.slice(start, open));
    start = open;
  }
  return [...values, part.slice(start)];
}

/** Where the brackets that open at an offset are closed; the end of the text if they are not. */
function endOfJson(text: string, open: number): number {
  const token = /["{}[\]]/g;
  token.lastIndex = open;
  let depth = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    if (match[0] === '"') token.lastIndex = endOfString(text, match.index);
    else depth += match[0] === "{" || match[0] === "[" ? 1 : -1;
    if (depth === 0) return token.lastIndex;
  }
  return text.length;
}

function endOfString(text: string, open: number): number {
  const token = /["\\]/g;
  token.lastIndex = open + 1;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    if (match[0] === '"') return token.lastIndex;
    token.lastIndex++;
  }
  return text.length;
}

/** Documents stay apart, JSON values that had nothing between them too, and nothing else changes. */
export function joinFiles(texts: readonly string[]): string {
  const files = texts.filter((text) => text !== "");
  if (files.length === 1) return files.join("");
  return files.flatMap(splitDocuments).reduce((joined, part) => {
    if (joined === "") return part;
    const lineBreak = joined.endsWith("\n") ? "" : "\n";
    // A byte order mark belongs only where a stream begins.
    const next = part.replace(/^\ufeff/, "");
    return joined + lineBreak + separatorBetween(joined + lineBreak, next) + next;
  }, "");
}

/** Directives (`%YAML 1.2`) follow only the end of a document. */
function separatorBetween(before: string, next: string): string {
  const lastLine = before.slice(before.lastIndexOf("\n", before.length - 2));
  if (next.startsWith("---") || /\n\.\.\.[^\n]*\n$/.test(lastLine)) return "";
  return next.startsWith("%") ? "...\n" : "---\n";
}
