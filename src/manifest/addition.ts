/** What a JSON patch adds to a document, in the pieces that its text has places for. */
import jsonpatch, { type AddOperation } from "fast-json-patch";

/** Keys and indices on the way from a manifest to one of its parts. */
export type ManifestPath = readonly (string | number)[];

/** One member to add to a mapping (or to put in the place of an empty one), or elements to add to a list. */
export type Addition =
  | { readonly target: "member"; readonly path: readonly string[]; readonly value: unknown }
  | { readonly target: "elements"; readonly path: readonly string[]; readonly value: readonly unknown[] };

/**
 * Elements for the same list go in one addition; what is new as a whole takes the value that all operations give it, which is
 * read from `expected`, the patched document.
 */
export function additionsFor(
  expected: unknown,
  operations: readonly AddOperation<unknown>[],
): readonly Addition[] {
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
      const whole: unknown = jsonpatch.getValueByPointer(expected, path);
      members.set(path, { path: keys, target: "member", value: whole });
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
