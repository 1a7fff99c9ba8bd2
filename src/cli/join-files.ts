/** Joins files of manifests into one stream. */

/** Documents stay apart, and nothing else changes. */
export function joinFiles(texts: readonly string[]): string {
  return texts.reduce((joined, text) => {
    if (joined === "" || text === "") return joined + text;
    const lineBreak = joined.endsWith("\n") ? "" : "\n";
    // A byte order mark stands only where a stream begins.
    const next = text.replace(/^\ufeff/, "");
    return joined + lineBreak + separatorBefore(next) + next;
  }, "");
}

/** Directives (`%YAML 1.2`) follow only the end of a document. */
function separatorBefore(text: string): string {
  if (text.startsWith("---")) return "";
  return text.startsWith("%") ? "...\n" : "---\n";
}
