/** Edits of a text that leave the rest of it as it is. */

/** A text to put in the place of another, or between two characters. */
export interface TextEdit {
  readonly start: number;
  /** Equal to `start` where nothing is taken out. */
  readonly end: number;
  readonly text: string;
}

/** Edits do not overlap. At one place the later goes first: what is added to a part ends before what is added to the whole. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  const pieces: string[] = [];
  let position = 0;
  for (const { start, end, text: inserted } of edits.toReversed().toSorted((a, b) => a.start - b.start)) {
    pieces.push(text.slice(position, start), inserted);
    position = end;
  }
  return [...pieces, text.slice(position)].join("");
}
