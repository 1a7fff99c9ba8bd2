/** Makes the changes of a JSON patch in the text of a document. */
import { isDeepStrictEqual } from "node:util";
import jsonpatch, { type AddOperation } from "fast-json-patch";
import type { Document } from "yaml";
import { isObject } from "../core/kubernetes.ts";
import { SourceText } from "../yaml/source-text.ts";
import { additionsFor, type Addition } from "./addition.ts";
import { reformatted } from "./copy-node.ts";
import { findEdits } from "./find-edits.ts";
import { parseDocument } from "./parse-manifests.ts";
import { applyEdits } from "./write-into-text.ts";

export interface EditedDocument {
  readonly text: string;
  /** Not another character was changed, or the whole document was written again, with its comments. */
  readonly extent: "additions" | "reformatted";
}

/**
 * The result is parsed and compared with what the patch makes of the manifest. If the additions alone do not give that, the
 * whole document is written again; undefined if that does not give it either. `yaml` is the parsed text.
 */
export function editDocument(
  text: string,
  yaml: Document,
  value: unknown,
  operations: readonly AddOperation<unknown>[],
): EditedDocument | undefined {
  const patched: unknown = jsonpatch.applyPatch(unshared(value), structuredClone(operations)).newDocument;
  const additions = additionsFor(patched, operations);
  const after = comparable(patched);
  const source = new SourceText(text);
  const edits = findEdits({ source, document: yaml, additions, after });
  const edited = edits === undefined ? undefined : applyEdits(text, edits);
  if (edited !== undefined && producesExpected(edited, after)) return { text: edited, extent: "additions" };
  const whole = rewrite(text, source.lineBreakNear(0), yaml, additions);
  return whole !== undefined && producesExpected(whole, after)
    ? { text: whole, extent: "reformatted" }
    : undefined;
}

function producesExpected(text: string, expected: unknown): boolean {
  const { value, fault } = parseDocument(text);
  return fault === undefined && isDeepStrictEqual(comparable(value), expected);
}

/** A patch changes one place of a document, though aliases make several places one object. */
function unshared(value: unknown): unknown {
  return mapLeaves(value, (leaf) => leaf);
}

/** The patch has numbers; the parser gives bigints for whole ones. */
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
