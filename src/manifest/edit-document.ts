/** Makes the changes of a JSON patch in the text of a document. */
import { isDeepStrictEqual } from "node:util";
import jsonpatch, { type AddOperation } from "fast-json-patch";
import type { Document } from "yaml";
import { isObject } from "../core/kubernetes.ts";
import { additionsFor, type Addition } from "./addition.ts";
import { reformatted } from "./copy-node.ts";
import { editsForAdditions } from "./edit-for-addition.ts";
import { parseDocument } from "./parse-document.ts";
import { SourceText } from "./source-text.ts";
import { applyEdits } from "./text-edit.ts";

export interface EditedDocument {
  readonly text: string;
  /** Not a character else was changed, or the whole document was written again, with its comments. */
  readonly extent: "additions" | "reformatted";
}

/**
 * Each candidate is read again and held against what the patch makes of the manifest; the first that agrees is taken, and
 * undefined if none does. `yaml` is the parsed text.
 */
export function editDocument(
  text: string,
  yaml: Document,
  value: unknown,
  operations: readonly AddOperation<unknown>[],
): EditedDocument | undefined {
  const patched: unknown = jsonpatch.applyPatch(unshared(value), structuredClone(operations)).newDocument;
  const additions = additionsFor(patched, operations);
  const expected = comparable(patched);
  const source = new SourceText(text);
  for (const aliases of ["share", "copy-target", "copy-all"] as const) {
    const edits = editsForAdditions(source, yaml, additions, aliases);
    if (edits === undefined) break;
    const edited = applyEdits(text, edits);
    if (producesExpected(edited, expected)) return { text: edited, extent: "additions" };
  }
  const whole = rewrite(text, source.lineBreakNear(0), yaml, additions);
  if (whole === undefined || !producesExpected(whole, expected)) return undefined;
  return { text: whole, extent: "reformatted" };
}

function producesExpected(text: string, expected: unknown): boolean {
  const { value, fault } = parseDocument(text);
  return fault === undefined && isDeepStrictEqual(comparable(value), expected);
}

/** A patch changes one place of a document, though aliases make several places one object. */
function unshared(value: unknown): unknown {
  return mapLeaves(value, (leaf) => leaf);
}

/** The patch is in numbers, what is parsed in bigints where they are whole. */
function comparable(value: unknown): unknown {
  return mapLeaves(value, (leaf) => (Number.isInteger(leaf) ? BigInt(leaf as number) : leaf));
}

function mapLeaves(value: unknown, map: (leaf: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((element) => mapLeaves(element, map));
  if (!isObject(value)) return map(value);
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, mapLeaves(child, map)]));
}

function rewrite(
  text: string,
  newline: string,
  yaml: Document,
  additions: readonly Addition[],
): string | undefined {
  const mark = text.startsWith("\ufeff") ? "\ufeff" : "";
  try {
    return mark + reformatted(yaml, additions).replaceAll("\n", newline);
  } catch {
    // Sets and other collections of the library's own do not take every addition.
    return undefined;
  }
}
