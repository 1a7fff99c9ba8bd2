/** Slips of the pen in a text: characters too many, too few, or wrong. */
import fc from "fast-check";

interface Slip {
  /** From 0 to 1, the beginning and the end of the text. */
  readonly at: number;
  readonly isInserted: boolean;
  readonly characters: string;
}

const slip: fc.Arbitrary<Slip> = fc.record({
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  isInserted: fc.boolean(),
  characters: fc.constantFrom(
    "",
    " ",
    "\n",
    "\t",
    ":",
    ": ",
    "-",
    "- ",
    '"',
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    "#",
    " #",
    "&",
    "*",
    "!",
    "|",
    ">",
    "%",
    "@",
    "`",
    "?",
    "x",
    "\u0000",
    "\n---\n",
    "\\",
  ),
});

export const anySlips = fc.array(slip, { minLength: 1, maxLength: 2 });

export function makeSlips(text: string, slips: readonly Slip[]): string {
  return slips.reduce((current, { at, isInserted, characters }) => {
    const start = Math.floor(at * current.length);
    return current.slice(0, start) + characters + current.slice(isInserted ? start : start + 1);
  }, text);
}
