/** Reads files of manifests and writes them out with changes. */
import { isDeepStrictEqual } from "node:util";
import jsonpatch from "fast-json-patch";
import { isAlias, isNode, LineCounter, visit, type Document } from "yaml";
import { MAX_ALIASES, NestedTooDeeplyError, parseYaml } from "../config/parse-yaml.ts";
import { messageOf } from "../core/error-message.ts";
import type { AddOperation } from "../core/json-patch.ts";
import { isObject } from "../core/kubernetes.ts";
import { applyEdits, editFor, layoutOf, type Addition, type TextEdit } from "./yaml-edit.ts";

/** Manifests as they came from one file or from standard input. */
export interface ManifestFile {
  readonly name: string;
  readonly text: string;
}

/** One document of a file. */
export interface ManifestDocument {
  readonly yaml: Document.Parsed;
  readonly value: unknown;
  /** Where it begins, from 1. */
  readonly line: number;
}

/** A document and the JSON patch for it; none leaves it as it is. */
export interface ManifestChange {
  readonly document: ManifestDocument;
  readonly operations: readonly AddOperation[];
}

/** Thrown for a file that cannot be written out with its changes; names the file and the line. */
export class UnreadableManifestError extends Error {
  override readonly name = "UnreadableManifestError";

  constructor(file: string, line: number, fault: string) {
    super(`${file}:${line.toString()}: ${fault}`);
  }
}

/** @throws UnreadableManifestError for the first syntax error. */
export function parseManifests({ name, text }: ManifestFile): readonly ManifestDocument[] {
  const lineCounter = new LineCounter();
  const lineOf = (offset: number): number => lineCounter.linePos(offset).line;
  return readDocuments(name, text, lineCounter).map((yaml) => {
    const [error] = yaml.errors;
    if (error !== undefined)
      throw new UnreadableManifestError(name, lineOf(error.pos[0]), `not YAML: ${error.message}`);
    const line = lineOf(yaml.contents?.range[0] ?? yaml.range[0]);
    return { yaml, value: valueOf(yaml, name, line), line };
  });
}

/**
 * The file's text with the changes made, and not a character else changed.
 *
 * What comes out is read again and held against what the patches make of the manifest. Where an edit of the text does not
 * do that (the pod stands behind an alias, say), the one document is written anew from its syntax tree.
 *
 * @throws UnreadableManifestError if that fails as well.
 */
export function editManifests({ name, text }: ManifestFile, changes: readonly ManifestChange[]): string {
  const layout = layoutOf(text);
  const edits = changes.flatMap(({ document, operations }): readonly TextEdit[] => {
    if (operations.length === 0) return [];
    const additions = additionsFor(patched(document.value, operations), operations);
    const wanted = patched(document.value, wholeNumbersAsRead(operations));
    const small = additions.map((addition) => editFor(layout, document.yaml, addition));
    if (small.every((edit) => edit !== undefined) && makes(text, document, small, wanted)) return small;
    const whole = rewrite(document.yaml, additions);
    if (whole !== undefined && makes(text, document, [whole], wanted)) return [whole];
    throw new UnreadableManifestError(
      name,
      document.line,
      "the pod shares parts with others by aliases; write them out",
    );
  });
  return applyEdits(text, edits);
}

function patched(value: unknown, operations: readonly AddOperation[]): unknown {
  const copy: unknown = structuredClone(value);
  return jsonpatch.applyPatch(copy, structuredClone(operations)).newDocument;
}

/** With whole numbers of the kind that {@link documentsIn} gives, so that the result can be held against what is read again. */
function wholeNumbersAsRead<T>(value: T): T {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value) as T;
  if (Array.isArray(value)) return value.map(wholeNumbersAsRead) as T;
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, wholeNumbersAsRead(child)]),
  ) as T;
}

/** Elements for the same list go in one addition; what is new as a whole takes the value that all operations give it. */
function additionsFor(wanted: unknown, operations: readonly AddOperation[]): readonly Addition[] {
  const members = new Map<string, Addition>();
  const elements = new Map<string, { readonly path: readonly string[]; readonly value: unknown[] }>();
  for (const { path, value } of operations) {
    const keys = path.split("/").slice(1).map(jsonpatch.unescapePathComponent);
    if (keys.at(-1) === "-") {
      const list = path.slice(0, -2);
      const before = elements.get(list);
      if (before === undefined) elements.set(list, { path: keys.slice(0, -1), value: [value] });
      else before.value.push(value);
    } else if (!isWithin(path, members)) {
      members.set(path, { path: keys, target: "member", value: jsonpatch.getValueByPointer(wanted, path) });
    }
  }
  const lists = [...elements.values()].map((list): Addition => ({ ...list, target: "elements" }));
  return [...members.values(), ...lists];
}

/** Whether a pointer leads into something that is added as a whole. */
function isWithin(pointer: string, members: ReadonlyMap<string, Addition>): boolean {
  for (let end = pointer.lastIndexOf("/"); end > 0; end = pointer.lastIndexOf("/", end - 1)) {
    if (members.has(pointer.slice(0, end))) return true;
  }
  return false;
}

function makes(
  text: string,
  { yaml }: ManifestDocument,
  edits: readonly TextEdit[],
  wanted: unknown,
): boolean {
  const [start, , end] = yaml.range;
  const shifted = edits.map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
  const [document, ...others] = documentsIn(applyEdits(text.slice(start, end), shifted), new LineCounter());
  if (document === undefined || others.length > 0 || document.errors.length > 0) return false;
  return isDeepStrictEqual(plainValue(document), wanted);
}

/** The document's content, written anew with its comments. Aliases on the way to an addition become copies. */
function rewrite(original: Document.Parsed, additions: readonly Addition[]): TextEdit | undefined {
  const range = original.contents?.range;
  if (!range) return undefined;
  const copy = original.clone() as Document;
  for (const { path } of additions) {
    for (let length = 1; length <= path.length; length++) {
      const node = copy.getIn(path.slice(0, length), true);
      if (isAlias(node)) copy.setIn(path.slice(0, length), withoutAnchors(node.resolve(copy)?.clone()));
    }
  }
  for (const { path, value, target } of additions) {
    if (target === "member") copy.setIn(path, copy.createNode(value));
    else for (const element of value as readonly unknown[]) copy.addIn(path, copy.createNode(element));
  }
  copy.commentBefore = null;
  copy.comment = null;
  if (copy.contents !== null) copy.contents.commentBefore = null;
  if (copy.directives !== undefined) copy.directives.docStart = null;
  return { start: range[0], end: range[1], text: copy.toString({ lineWidth: 0 }) };
}

function withoutAnchors(node: unknown): unknown {
  if (isNode(node)) {
    visit(node, {
      Node(_key, child) {
        if ("anchor" in child) delete child.anchor;
      },
    });
  }
  return node;
}

function readDocuments(name: string, text: string, lineCounter: LineCounter): readonly Document.Parsed[] {
  try {
    return documentsIn(text, lineCounter);
  } catch (error) {
    if (!(error instanceof NestedTooDeeplyError)) throw error;
    throw new UnreadableManifestError(name, lineCounter.linePos(error.offset).line, error.message);
  }
}

/** Whole numbers of any size, so that a document that is written anew keeps them. */
function documentsIn(text: string, lineCounter: LineCounter): readonly Document.Parsed[] {
  return parseYaml(text, lineCounter, { intAsBigInt: true });
}

function plainValue(document: Document): unknown {
  return document.toJS({ maxAliasCount: MAX_ALIASES });
}

function valueOf(yaml: Document, file: string, line: number): unknown {
  try {
    return plainValue(yaml);
  } catch (error) {
    const fault = messageOf(error);
    throw new UnreadableManifestError(file, line, `not YAML: ${fault}`);
  }
}
