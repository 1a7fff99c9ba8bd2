/** Warnings as the API server passes them on: in `Warning: 299 -` headers. */

/** Longer ones may be cut by the API server (Kubernetes documentation, "Dynamic Admission Control", Response). */
const MAX_LENGTH = 120;
/** 8 × 120 characters stay far below the 4096 at which the API server begins to drop warnings. */
const MAX_COUNT = 8;

/**
 * Makes warnings fit to be sent: one line each, printable, at most 120 characters, at most eight, each once. The API
 * server drops one with a control character without a word, and one that says the same as another.
 */
export function limitWarnings(warnings: readonly string[]): readonly string[] {
  if (warnings.length === 0) return warnings;
  const distinct = [...new Set(warnings.map(limitWarning))];
  if (distinct.length <= MAX_COUNT) return distinct;
  const left = distinct.length - MAX_COUNT + 1;
  return [...distinct.slice(0, MAX_COUNT - 1), `and ${left.toString()} more warnings like these`];
}

function limitWarning(warning: string): string {
  const line = warning.toWellFormed().replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
  return line.length <= MAX_LENGTH ? line : `${line.slice(0, MAX_LENGTH - 1).toWellFormed()}…`;
}
