/** Warnings as the API server passes them on: in `Warning: 299 -` headers. */

/** Longer ones may be cut by the API server (Kubernetes documentation, "Dynamic Admission Control", Response). */
const MAX_LENGTH = 120;
/** 8 × 120 characters stay far below the 4096 at which the API server begins to drop warnings. */
const MAX_COUNT = 8;

const NONE: readonly string[] = [];

/**
 * Collects warnings that are fit to be sent: one line each, printable, at most 120 characters, at most eight, each once. The
 * API server drops one with a control character without a word, and one that says the same as another.
 */
export class WarningList {
  #texts: string[] | undefined;
  #leftOut = 0;

  /** `write` is not called for a warning that nobody will read: a pod can give cause for a hundred thousand. */
  add(write: () => string): void {
    this.#texts ??= [];
    if (this.#texts.length >= MAX_COUNT) {
      this.#leftOut++;
      return;
    }
    const text = limit(write());
    if (!this.#texts.includes(text)) this.#texts.push(text);
  }

  texts(): readonly string[] {
    if (this.#texts === undefined) return NONE;
    if (this.#leftOut === 0) return this.#texts;
    // The last place says how many have none.
    return [...this.#texts.slice(0, -1), `and ${(this.#leftOut + 1).toString()} more warnings like these`];
  }
}

/** For pods and for their builders. It does not say which registries: their names are not ours to tell. */
export const LABELS_UNKNOWN =
  "the labels of the namespace are not known: registries that are limited to certain namespaces are left out";

function limit(warning: string): string {
  const line = warning.toWellFormed().replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
  return line.length <= MAX_LENGTH ? line : `${line.slice(0, MAX_LENGTH - 1).toWellFormed()}…`;
}
