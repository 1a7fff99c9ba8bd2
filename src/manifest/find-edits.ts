/** Finds where in the text of a document additions go, and which aliases in it need a copy of what they name. */
import { isDeepStrictEqual } from "node:util";
import {
  isAlias,
  isMap,
  isPair,
  isSeq,
  visit,
  type Alias,
  type Document,
  type Node,
  type YAMLMap,
} from "yaml";
import type { SourceText } from "../yaml/source-text.ts";
import type { Addition } from "./addition.ts";
import { flowCopyOf, mergedMember, mergeSources } from "./copy-node.ts";
import { keyName, MERGE_KEY, pairOf } from "./parse-manifests.ts";
import { addElements, addMember, replaceScalar, type Content, type TextEdit } from "./write-into-text.ts";

/** A document, and what is added to it. */
export interface Change {
  readonly source: SourceText;
  readonly document: Document;
  readonly additions: readonly Addition[];
  /** What the document is to hold. */
  readonly after: unknown;
}

/**
 * The edits that make all additions; undefined where the text has no plain place for one. The caller checks the result, because
 * YAML has more forms than this knows.
 */
export function findEdits(change: Change): readonly TextEdit[] | undefined {
  const anchors: Anchors = new Map();
  const copies = copyAliases(change, anchors);
  const edits = new Map<string, TextEdit>();
  for (const addition of change.additions) {
    const found = editForAddition(addition, change, anchors);
    if (found === undefined) return undefined;
    if (found !== "at-anchor") edits.set(found.key, found.edit);
  }
  return [...edits.values(), ...copies];
}

/** Where the parts of the document are that have an anchor. */
type Anchors = Map<unknown, readonly string[]>;

/** Gives a copy of its own to each alias that cannot stay, and fills in `anchors`. */
function copyAliases(change: Change, anchors: Anchors): readonly TextEdit[] {
  const { document, additions } = change;
  const copies: TextEdit[] = [];
  visit(document, {
    Value(_key, node, ancestors) {
      if (node.anchor !== undefined) anchors.set(node, pathOf(node, ancestors));
    },
    Alias(_key, alias, ancestors) {
      const path = pathOf(alias, ancestors);
      const map = mergedInto(ancestors);
      if (!alias.range || canStay(alias, path, map, change, anchors)) return;
      const [start, end] = alias.range;
      const below = map === undefined ? additionsBelow(path, additions) : [];
      copies.push({ start, end, text: flowCopyOf(alias, document, below) });
    },
  });
  return copies;
}

/**
 * An alias names a part of the document that is written at its anchor. What is added there reaches every place that names it,
 * which is right where that place gets the same additions.
 *
 * the alias is   | it can stay if
 * a value        | its place is to hold what the part at the anchor is to hold
 * at a merge key | the mapping has, or gets, a member of its own for each member that changes at the anchor, or the same change
 */
function canStay(
  alias: Alias,
  path: readonly string[],
  map: YAMLMap | undefined,
  { document, additions, after }: Change,
  anchors: Anchors,
): boolean {
  const anchor = anchors.get(alias.resolve(document));
  const isTouched = (at: readonly string[]): boolean => additions.some((addition) => isBelow(at, addition));
  if (anchor === undefined || !(isTouched(path) || isTouched(anchor))) return true;
  if (map === undefined) return isDeepStrictEqual(valueAt(after, path), valueAt(after, anchor));
  return additionsBelow(anchor, additions).every(
    ({ path: [key] }) => key !== undefined && (pairOf(map, key) !== undefined || isTouched([...path, key])),
  );
}

/** `key` is the same for additions that one edit makes. */
type Found = { readonly key: string; readonly edit: TextEdit } | "at-anchor" | undefined;

function editForAddition({ path, target, value }: Addition, change: Change, anchors: Anchors): Found {
  const { source, document } = change;
  const found = (at: readonly string[], edit: TextEdit | undefined): Found =>
    edit && { key: JSON.stringify(at), edit };
  const around: YAMLMap[] = [];
  let node: unknown = document.contents;
  for (const [depth, key] of path.entries()) {
    const at = path.slice(0, depth + 1);
    const isWhole = target === "member" && at.length === path.length;
    if (isAlias(node)) return "at-anchor";
    if (isMap(node)) {
      around.push(node);
      const pair = pairOf(node, key);
      if (pair === undefined) {
        const content = isWhole ? { value } : mergedContent(node, at, change, anchors);
        if (content === "at-anchor" || content === undefined) return content;
        return found(at, addMember(source, around, key, content));
      }
      if (isWhole && !isAlias(pair.value)) return found(at, replaceScalar(source, pair, value));
      node = pair.value;
    } else if (isSeq(node)) node = node.items[Number(key)];
    else return undefined;
  }
  if (isAlias(node)) return "at-anchor";
  if (target !== "elements" || !isSeq(node)) return undefined;
  return found([...path, "-"], addElements(source, node, value));
}

/** For a member that a mapping has only by a merge key: nothing if it gets the additions there, else a copy of its own. */
function mergedContent(
  map: YAMLMap,
  path: readonly string[],
  change: Change,
  anchors: Anchors,
): Content | "at-anchor" | undefined {
  const { document, additions, after } = change;
  const key = path.slice(-1);
  for (const source of mergeSources(map, document)) {
    if (!isAlias(source)) break;
    const member = valueAt(after, [...(anchors.get(source.resolve(document)) ?? []), ...key]);
    if (member === undefined) continue;
    const isShared = isDeepStrictEqual(member, valueAt(after, path));
    if (isShared && canStay(source, path.slice(0, -1), map, change, anchors)) return "at-anchor";
    break;
  }
  const member = mergedMember(map, key.join(""), document);
  return member && { flow: flowCopyOf(member, document, additionsBelow(path, additions)) };
}

function additionsBelow(path: readonly string[], additions: readonly Addition[]): readonly Addition[] {
  return additions
    .filter((addition) => isBelow(path, addition))
    .map((addition) => ({ ...addition, path: addition.path.slice(path.length) }));
}

function isBelow(path: readonly string[], addition: Addition): boolean {
  return path.every((key, depth) => key === addition.path[depth]);
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((container, key) => {
    if (typeof container !== "object" || container === null || !Object.hasOwn(container, key))
      return undefined;
    return (container as Readonly<Record<string, unknown>>)[key];
  }, value);
}

/** Where a node's value is; a merge key is not on the way to it. */
function pathOf(node: Node, ancestors: readonly unknown[]): readonly string[] {
  return ancestors.flatMap((ancestor, depth) => {
    if (isMergePair(ancestor) || isMergePair(ancestors[depth - 1])) return [];
    if (isPair(ancestor)) return [keyName(ancestor.key) ?? ""];
    return isSeq(ancestor) ? [ancestor.items.indexOf(ancestors[depth + 1] ?? node).toString()] : [];
  });
}

/** The mapping that an alias is merged into, if it is at a merge key. */
function mergedInto(ancestors: readonly unknown[]): YAMLMap | undefined {
  const depth = ancestors.length - (isSeq(ancestors.at(-1)) ? 2 : 1);
  const map = ancestors[depth - 1];
  return isMergePair(ancestors[depth]) && isMap(map) ? map : undefined;
}

function isMergePair(node: unknown): boolean {
  return isPair(node) && keyName(node.key) === MERGE_KEY;
}
