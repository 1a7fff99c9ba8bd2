/** Text and its lines, which may end in any of the ways that YAML knows. */

const LINE_BREAK = /\r\n|\r|\n/g;

/** Finds the lines around an offset without going through the text each time. */
export class SourceText {
  readonly text: string;
  readonly #lineStarts: readonly number[];

  constructor(text: string) {
    this.text = text;
    this.#lineStarts = [
      0,
      ...[...text.matchAll(LINE_BREAK)].map(({ 0: lineBreak, index }) => index + lineBreak.length),
    ];
  }

  /** From 0. */
  lineOf(offset: number): number {
    let low = 0;
    let high = this.#lineStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low;
  }

  lineStart(offset: number): number {
    return this.#lineStarts[this.lineOf(offset)] ?? 0;
  }

  columnOf(offset: number): number {
    return offset - this.lineStart(offset);
  }

  /** Where the line after that of `offset` begins; the end of the text if that is the last one. */
  nextLine(offset: number): number {
    return this.#lineStarts[this.lineOf(offset) + 1] ?? this.text.length;
  }

  /** Whether the last line has a line break at its end. */
  get isClosed(): boolean {
    return this.#lineStarts.at(-1) === this.text.length;
  }

  /** The line break that ends the line of the character before `offset`, else that of the line before: a file may have several kinds. */
  lineBreakNear(offset: number): string {
    const line = this.lineOf(Math.max(offset - 1, 0));
    const end = this.#lineStarts[line + 1] ?? this.#lineStarts[line] ?? 0;
    return /(?:\r\n|\r|\n)$/.exec(this.text.slice(Math.max(end - 2, 0), end))?.[0] ?? "\n";
  }
}
