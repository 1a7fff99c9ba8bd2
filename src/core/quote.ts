/** Texts of others within ours: names that nobody has checked yet, and what a runtime says. */

/** What is longer says nothing to people, and costs what it is written to. */
const MAX_LENGTH = 120;

/**
 * On one line, with nothing in it that a terminal acts upon: what JSON escapes in a string, and the control characters U+007F
 * to U+009F and the two separators of lines, which it does not.
 */
export function escapeControls(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replace(
      /[\u007f-\u009f\u2028\u2029]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

/** As {@link escapeControls}, in quotation marks, and cut at 120 characters. */
export function quote(text: string): string {
  return `"${escapeControls(text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH)}…`)}"`;
}
