/** Parses YAML and finds the lines of its parts. Nothing that stands in the file gets into a message. */
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Document,
  type ErrorCode,
  type Node,
} from "yaml";
import { MAX_ALIASES, NestedTooDeeplyError, parseYaml } from "./parse-yaml.ts";
import type { KeyPath, SourceLocation, Diagnostic } from "./diagnostics.ts";

/** One document of a file, as plain values, with the locations of its parts. */
export interface ParsedDocument {
  readonly value: unknown;
  locate(path: KeyPath): SourceLocation;
}

/** Either documents or what is wrong with the syntax. Documents without content are left out. */
export interface ParsedFile {
  readonly documents: readonly ParsedDocument[];
  readonly diagnostics: readonly Diagnostic[];
}

export function parseYamlFile(file: string, text: string): ParsedFile {
  // A file that is being written is empty for a moment, and an editor that failed leaves it so.
  if (text.trim() === "") {
    const location = { file, line: undefined, path: [] };
    return {
      documents: [],
      diagnostics: [{ location, message: "is empty; `registries: []` says that there are none" }],
    };
  }
  const lineCounter = new LineCounter();
  const lineOf = (offset: number): number => lineCounter.linePos(offset).line;
  const parsed = parse(text, lineCounter);
  if (parsed instanceof NestedTooDeeplyError) {
    const location = { file, line: lineOf(parsed.offset), path: [] };
    return { documents: [], diagnostics: [{ location, message: `YAML: ${parsed.message}` }] };
  }

  const diagnostics: Diagnostic[] = parsed.flatMap((document) =>
    [...document.errors, ...document.warnings].map(({ code, pos }) => ({
      location: { file, line: lineOf(pos[0]), path: [] },
      message: `YAML: ${SYNTAX_ERRORS[code] ?? "it cannot be read"}`,
    })),
  );
  if (diagnostics.length > 0) return { documents: [], diagnostics };

  const results: ParsedDocument[] = [];
  for (const document of parsed) {
    const locate = (path: KeyPath): SourceLocation => ({
      file,
      line: lineOf(offsetOf(document, path)),
      path,
    });
    try {
      const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
      if (value !== null && value !== undefined) results.push({ value, locate });
    } catch {
      diagnostics.push({
        location: locate([]),
        message: "YAML: an alias without its anchor, or too many aliases",
      });
    }
  }
  return { documents: results, diagnostics };
}

function parse(text: string, lineCounter: LineCounter): readonly Document.Parsed[] | NestedTooDeeplyError {
  try {
    return parseYaml(text, lineCounter);
  } catch (error) {
    if (error instanceof NestedTooDeeplyError) return error;
    throw error;
  }
}

/** The library's own messages quote the file. */
const SYNTAX_ERRORS: Readonly<Partial<Record<ErrorCode, string>>> = {
  ALIAS_PROPS: "an alias has no anchor or tag of its own",
  BAD_ALIAS: "an alias is not written properly; a text that begins with * has to be quoted",
  BAD_DQ_ESCAPE: "an escape in a double-quoted text is not known",
  BAD_INDENT: "the indentation is not right",
  BAD_SCALAR_START: "a text that begins with @, `, % or the like has to be quoted",
  BLOCK_AS_IMPLICIT_KEY:
    "a mapping or a list stands where a single value is expected; is the indentation right?",
  DUPLICATE_KEY: "a key stands twice in one mapping",
  MISSING_CHAR: "something is missing: a colon, a comma, a quote or a bracket",
  MULTILINE_IMPLICIT_KEY: "a key goes over several lines; is a colon missing?",
  TAB_AS_INDENT: "a tab is used for indentation",
  TAG_RESOLVE_FAILED: "a tag is not known; a text that begins with ! has to be quoted",
  UNEXPECTED_TOKEN: "something stands where it cannot",
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
