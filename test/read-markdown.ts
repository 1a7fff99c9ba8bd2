/** A fenced block of a page. */
export interface Block {
  readonly language: string;
  readonly text: string;
}

export function blocksOf(markdown: string): readonly Block[] {
  return [...markdown.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language = "", text = ""]) => ({
    language,
    text,
  }));
}

/** What a command reads with `<<'END'`: values of the chart, in YAML. */
export function valuesIn(shell: string): readonly string[] {
  return [...shell.matchAll(/<<'END'\n([^]*?)^END$/gm)].map(([, text = ""]) => text);
}
