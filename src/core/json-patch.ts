/** The operations of a JSON patch (RFC 6902) that Pullpass uses. */

/** It cannot fail where its parent is there, and removes nothing. */
export interface AddOperation {
  readonly op: "add";
  /** A JSON pointer (RFC 6901). */
  readonly path: string;
  readonly value: unknown;
}

/** It fails where there is nothing at the path. */
export interface RemoveOperation {
  readonly op: "remove";
  readonly path: string;
}

/** Makes the whole patch fail where somebody else was faster. */
export interface TestOperation {
  readonly op: "test";
  readonly path: string;
  readonly value: unknown;
}

export type PatchOperation = AddOperation | RemoveOperation | TestOperation;

/** A member's name as a part of a JSON pointer. */
export function escapePointer(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
