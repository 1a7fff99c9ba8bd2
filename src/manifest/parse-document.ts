/** Parses one document of a file as kubectl does. */
import {
  isCollection,
  isMap,
  isScalar,
  Lexer,
  LineCounter,
  visit,
  type Document,
  type Node,
  type YAMLError,
} from "yaml";
import { keyName, MERGE_KEY } from "./pairs.ts";
import { SourceText } from "./source-text.ts";
import { MAX_ALIASES, NestedTooDeeplyError, parseYaml } from "../yaml/parse-yaml.ts";

/** What the text of a document holds. */
export interface ParsedDocument {
  /** Undefined if there is nothing in it but comments. Its ranges fit the text. */
  readonly yaml: Document.Parsed | undefined;
  /** Whole numbers of any size are bigints. Of text that cannot be parsed, as much as was recognised. */
  readonly value: unknown;
  /** Where the content begins, from 1. */
  readonly line: number;
  readonly fault: SyntaxFault | undefined;
}

/** Why kubectl cannot read the document either, in all probability. */
export interface SyntaxFault {
  readonly line: number;
  readonly message: string;
}

/** Lines count from `firstLine`, where the text begins in its file. */
export function parseDocument(text: string, firstLine = 1): ParsedDocument {
  const lines = new LineCounter();
  const lineOf = (offset: number): number => firstLine + Math.max(lines.linePos(offset).line, 1) - 1;
  let documents: readonly Document.Parsed[];
  try {
    const options = { intAsBigInt: true, strict: false, uniqueKeys: false };
    documents = parseYaml(readableByLibrary(text), lines, options, lexerThatIgnoresIndentation());
  } catch (error) {
    if (!(error instanceof NestedTooDeeplyError)) throw error;
    const fault = { line: lineOf(error.offset), message: error.message };
    return { yaml: undefined, value: undefined, line: firstLine, fault };
  }
  const [yaml, second] = documents;
  if (yaml === undefined) return { yaml, value: undefined, line: firstLine, fault: undefined };
  const line = lineOf(yaml.contents?.range[0] ?? yaml.range[0]);
  const error = yaml.errors.find(isFatal);
  if (error !== undefined) {
    const fault = { line: lineOf(error.pos[0]), message: withoutQuotation(error.message) };
    return { yaml, value: recognisedIn(yaml), line, fault };
  }
  if (second !== undefined) {
    const fault = { line: lineOf(second.range[0]), message: "a second document begins without ---" };
    return { yaml, value: recognisedIn(yaml), line, fault };
  }
  const value = plainValue(yaml, text.includes("*"));
  if (value !== undefined) return { yaml, value, line, fault: undefined };
  const message = "an alias without its anchor, an alias of what it is part of, or too many aliases";
  return { yaml, value: recognisedIn(yaml), line, fault: { line, message } };
}

/** A key that a mapping has more than once; the last counts, as for kubectl. */
export interface RepeatedKey {
  readonly key: string;
  /** Its last line in the file. */
  readonly line: number;
}

/** `firstLine` is where the text begins in its file. */
export function repeatedKeys(yaml: Document, text: string, firstLine: number): readonly RepeatedKey[] {
  const source = new SourceText(text);
  const repeated: RepeatedKey[] = [];
  visit(yaml, {
    Map(_key, { items }) {
      const seen = new Set<string>();
      for (const { key } of items) {
        const name = keyName(key);
        if (name === undefined || name === MERGE_KEY) continue;
        const offset = (key as Node).range?.[0] ?? 0;
        if (seen.has(name)) repeated.push({ key: name, line: firstLine + source.lineOf(offset) });
        seen.add(name);
      }
    },
  });
  return repeated;
}

/** Line breaks and byte order marks as the library knows them, every character where it was. */
function readableByLibrary(text: string): string {
  return text.replace(/\r(?!\n)/g, "\n").replace(/^(---[ \t]*\r?\n)\ufeff/, "\ufeff$1");
}

/** The parts of the library's lexer that its types keep private; the version is pinned. */
interface LexerState {
  indentNext: number;
  parseFlowCollection(): Generator<string, unknown>;
  parseQuotedScalar(): Generator<string, unknown>;
}

/**
 * In quotes and brackets libyaml, which kubectl reads with, counts no indentation. The library asks for more than that of the
 * parent, as the specification does.
 */
function lexerThatIgnoresIndentation(): Lexer {
  const lexer = new Lexer();
  const state = lexer as unknown as LexerState;
  for (const method of ["parseFlowCollection", "parseQuotedScalar"] as const) {
    const parse = state[method].bind(state);
    state[method] = function* () {
      const { indentNext } = state;
      state.indentNext = 0;
      const next = yield* parse();
      state.indentNext = indentNext;
      return next;
    };
  }
  return lexer;
}

/** The library reports more than kubectl minds: the escape `\'`, and a comment that touches what is before it. */
function isFatal({ code, message }: YAMLError): boolean {
  if (code === "BAD_DQ_ESCAPE") return !message.endsWith("\\'");
  return !message.startsWith("Comments must be separated");
}

/** Some messages quote the file, and the file may hold a password. */
function withoutQuotation(message: string): string {
  return message.replace(/: ".*$/s, "");
}

function recognisedIn(yaml: Document.Parsed): unknown {
  if (!isMap(yaml.contents)) return undefined;
  const scalars = yaml.contents.items.flatMap(({ key, value }) =>
    isScalar(value) ? [[keyName(key) ?? "", value.value] as const] : [],
  );
  return Object.fromEntries(scalars);
}

/** Undefined if the aliases do not stand for anything finite. */
function plainValue(document: Document, hasAliases: boolean): unknown {
  if (hasAliases && containsItself(document)) return undefined;
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch {
    return undefined;
  }
}

function containsItself(document: Document): boolean {
  let isFound = false;
  visit(document, {
    Alias(_key, { source }, ancestors) {
      isFound ||= ancestors.some((ancestor) => isCollection(ancestor) && ancestor.anchor === source);
    },
  });
  return isFound;
}
