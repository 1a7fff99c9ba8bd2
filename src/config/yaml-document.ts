/** Parses YAML and finds the lines of its parts. No message contains anything of the file. */
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  visit,
  type Document,
  type ErrorCode,
  type Node,
} from "yaml";
import { asArray, isObject } from "../core/kubernetes.ts";
import type { Diagnostic, KeyPath, LocatedValue, SourceLocation } from "./diagnostics.ts";
import { MAX_ALIASES, NestedTooDeeplyError, parseYaml } from "../yaml/parse-yaml.ts";
import { SourceText } from "../yaml/source-text.ts";
import { isDnsLabel } from "./fields.ts";

/** Either documents or what is wrong with the syntax. Documents without content are left out. */
export interface ParsedFile {
  readonly documents: readonly LocatedValue[];
  readonly diagnostics: readonly Diagnostic[];
}

export function parseYamlFile(file: string, text: string): ParsedFile {
  const source = new SourceText(text);
  const documents: LocatedValue[] = [];
  const diagnostics: Diagnostic[] = [];
  const lineOf = (offset: number): number => source.lineOf(offset) + 1;
  const locationOf = (path: KeyPath, value: unknown, document: Document): SourceLocation => {
    const entryName = entryNameAt(value, path);
    const location = { file, line: lineOf(offsetOf(document, path)), path };
    return entryName === undefined ? location : { ...location, entryName };
  };
  const report = (message: string, offset?: number): void => {
    const line = offset === undefined ? undefined : lineOf(offset);
    diagnostics.push({ location: { file, line, path: [] }, message });
  };
  // A file that is being written is empty for a moment, and an editor that failed leaves it so.
  if (text.trim() === "") report("is empty; write `registries: []` if there are none");
  try {
    const parsed = parseYaml(text);
    for (const { offset, message } of parsed.flatMap(syntaxErrors)) report(`YAML: ${message}`, offset);
    if (diagnostics.length > 0) return { documents, diagnostics };
    for (const document of parsed) {
      const value = plainValue(document);
      if (value instanceof Error) report("YAML: too many aliases", startOf(document.contents) ?? 0);
      else if (value !== null && value !== undefined) {
        documents.push({ value, locate: (path) => locationOf(path, value, document) });
      }
    }
  } catch (error) {
    if (!(error instanceof NestedTooDeeplyError)) throw error;
    report(`YAML: ${error.message}`, error.offset);
  }
  return { documents, diagnostics };
}

/** The library throws a ReferenceError for too many aliases. */
function plainValue(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    return error;
  }
}

function syntaxErrors(document: Document.Parsed): readonly { offset: number; message: string }[] {
  const errors = [...document.errors, ...document.warnings].map(({ code, pos: [offset] }) => ({
    offset,
    message: SYNTAX_ERRORS[code] ?? "cannot be parsed",
  }));
  if (errors.length > 0) return errors;
  return unresolvedAliases(document).map((offset) => ({ offset, message: UNRESOLVED_ALIAS }));
}

/** Where aliases are whose anchor does not come before them. Mostly they are strings that begin with an unquoted `*`. */
function unresolvedAliases(document: Document): readonly number[] {
  const anchors = new Set<string>();
  const offsets: number[] = [];
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) {
        if (!anchors.has(node.source)) offsets.push(startOf(node) ?? 0);
      } else if (node.anchor !== undefined) {
        anchors.add(node.anchor);
      }
    },
  });
  return offsets;
}

/** The name of the entry that a path leads into: `team-a` for `registries[0].auth`. */
function entryNameAt(value: unknown, [list, index]: KeyPath): string | undefined {
  if (typeof list !== "string" || typeof index !== "number" || !isObject(value)) return undefined;
  const entry = asArray(value[list])[index];
  const name = isObject(entry) ? entry["name"] : undefined;
  return typeof name === "string" && isDnsLabel(name) ? name : undefined;
}

const UNRESOLVED_ALIAS = "an alias without an anchor; a string that begins with * needs quotes";

/** The library's own messages quote the file. */
const SYNTAX_ERRORS: Readonly<Partial<Record<ErrorCode, string>>> = {
  ALIAS_PROPS: "an alias cannot have an anchor or a tag",
  BAD_ALIAS: "not a valid alias; a string that begins with * needs quotes",
  BAD_DQ_ESCAPE: "an unknown escape sequence in a double-quoted string",
  BAD_INDENT: "wrong indentation",
  BAD_SCALAR_START: "a string that begins with @, `, % or a similar character needs quotes",
  BLOCK_AS_IMPLICIT_KEY: "a mapping or a list where a single value is expected; check the indentation",
  DUPLICATE_KEY: "the same key twice in one mapping",
  MISSING_CHAR: "a missing colon, comma, quote or bracket",
  MULTILINE_IMPLICIT_KEY: "a key that spans several lines; check for a missing colon",
  TAB_AS_INDENT: "a tab in the indentation; use spaces",
  TAG_RESOLVE_FAILED: "an unknown tag; a string that begins with ! needs quotes",
  UNEXPECTED_TOKEN: "an unexpected character or value",
};

/** Where the path's last part begins: its key, or its item in a list. What is not there is at its nearest parent. */
function offsetOf(document: Document, path: KeyPath): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const key of path) {
    const container: unknown = isAlias(node) ? node.resolve(document) : node;
    const [start, child] = childOf(container, key);
    if (start === undefined) return offset;
    offset = start;
    node = child;
  }
  return offset;
}

function childOf(
  container: unknown,
  key: string | number,
): readonly [start: number | undefined, child: unknown] {
  if (isSeq(container) && typeof key === "number") {
    const item = container.items[key];
    return [startOf(item), item];
  }
  if (isMap(container)) {
    const pair = container.items.find(
      (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === key,
    );
    return [startOf(pair?.key), pair?.value];
  }
  return [undefined, undefined];
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}
