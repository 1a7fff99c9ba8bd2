/** Parses files of manifests as kubectl does, document by document. */
import {
  isCollection,
  isMap,
  isPair,
  isScalar,
  Lexer,
  visit,
  type Document,
  type Node,
  type Pair,
  type YAMLError,
} from "yaml";
import { MAX_ALIASES, NestedTooDeeplyError, parseYaml } from "../yaml/parse-yaml.ts";
import { SourceText } from "../yaml/source-text.ts";
import type { PodTemplateKinds } from "./pod-template-kinds.ts";
import { objectsIn } from "./pod-templates.ts";
import { splitDocuments } from "./split-documents.ts";

/** Manifests as they came from one file or from standard input. */
export interface ManifestFile {
  readonly name: string;
  readonly text: string;
}

/** One document of a file. */
export interface ManifestDocument extends ParsedDocument {
  readonly file: string;
  /** With the line that divides it from the one before; the texts of all documents are that of the file. */
  readonly text: string;
  /** The line of the file where the text begins, from 1. */
  readonly firstLine: number;
}

/** Names the file and the line. */
export class UnreadableManifestError extends Error {
  override readonly name = "UnreadableManifestError";

  constructor(file: string, line: number, fault: string) {
    super(`${file}:${line.toString()}: ${fault}`);
  }
}

/** What cannot be parsed is among them, with its fault. */
export function parseManifests({ name, text }: ManifestFile): readonly ManifestDocument[] {
  let line = 1;
  return splitDocuments(text).map((part) => {
    const firstLine = line;
    line += part.match(/\r\n|\r|\n/g)?.length ?? 0;
    return { ...parseDocument(part, firstLine), file: name, text: part, firstLine };
  });
}

/** @throws UnreadableManifestError */
export function requireReadable(document: ManifestDocument): ManifestDocument {
  const { file, fault } = document;
  if (fault !== undefined) throw new UnreadableManifestError(file, fault.line, `not YAML: ${fault.message}`);
  return document;
}

/** Whether a document that cannot be parsed may be of a kind with a pod template, as far as its `kind` can be made out. */
export function mayHoldPodTemplate({ value, text }: ManifestDocument, kinds: PodTemplateKinds): boolean {
  const [object] = objectsIn(value);
  const named = object === undefined ? kindsNamedIn(text) : [object.kind];
  const known = new Set([...kinds.values()].flatMap((rows) => rows.map(({ kind }) => kind)));
  return named.some(
    (kind) => known.has(kind) || kind.endsWith("List") || kind === "Template" || !/^\w+$/.test(kind),
  );
}

function kindsNamedIn(text: string): readonly string[] {
  return [...text.matchAll(/\bkind["']?[ \t]*:[ \t]*["']?([^\s"',}]+)/g)].map(([, kind = ""]) => kind);
}

/** What the text of a document holds. */
export interface ParsedDocument {
  /** Undefined if there is nothing in it but comments. Its ranges fit the text. */
  readonly yaml: Document.Parsed | undefined;
  /** Whole numbers of any size are bigints. Of text that cannot be parsed, as much as was recognised. */
  readonly value: unknown;
  /** Where the content begins, from 1. */
  readonly line: number;
  /** Why kubectl, most probably, cannot read the document either. */
  readonly fault: { readonly line: number; readonly message: string } | undefined;
}

/** Lines count from `firstLine`, where the text begins in its file. */
export function parseDocument(text: string, firstLine = 1): ParsedDocument {
  const source = new SourceText(text);
  const lineOf = (offset: number): number => firstLine + source.lineOf(offset);
  try {
    const options = { intAsBigInt: true, strict: false, uniqueKeys: false };
    const [yaml, second] = parseYaml(readableByLibrary(text), options, lexerThatIgnoresIndentation());
    const line = lineOf(yaml?.contents?.range[0] ?? yaml?.range[0] ?? 0);
    if (yaml === undefined) return { yaml, value: undefined, line, fault: undefined };
    const fail = (offset: number, message: string): ParsedDocument => {
      return { yaml, value: recognisedIn(yaml), line, fault: { line: lineOf(offset), message } };
    };
    const error = yaml.errors.find(isFatal);
    if (error !== undefined) return fail(error.pos[0], withoutQuotation(error.message));
    if (second !== undefined) return fail(second.range[0], "a second document begins without ---");
    const value = plainValue(yaml, text.includes("*"));
    if (value !== undefined) return { yaml, value, line, fault: undefined };
    const { range } = yaml.contents ?? yaml;
    return fail(range[0], "an alias without its anchor, an alias of what it is part of, or too many aliases");
  } catch (error) {
    if (!(error instanceof NestedTooDeeplyError)) throw error;
    const fault = { line: lineOf(error.offset), message: error.message };
    return { yaml: undefined, value: undefined, line: firstLine, fault };
  }
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

/** The key that merges other mappings into its own. */
export const MERGE_KEY = "<<";

/** The library reads the merge key as a symbol. */
export function keyName(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined;
  return typeof key.value === "symbol" ? MERGE_KEY : String(key.value);
}

/** The pair that counts for a key: the last one. */
export function pairOf({ items }: { readonly items: readonly unknown[] }, name: string): Pair | undefined {
  return items.findLast((pair): pair is Pair => isPair(pair) && keyName(pair.key) === name);
}
