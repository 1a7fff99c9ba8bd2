/** Joins files of manifests into one stream. */
import { splitDocuments } from "./split-documents.ts";

/** Documents stay apart, also JSON values that had nothing between them, and nothing else changes. */
export function joinFiles(texts: readonly string[]): string {
  const files = texts.filter((text) => text !== "");
  if (files.length === 1) return files.join("");
  return files.flatMap(splitDocuments).reduce((joined, part) => {
    if (joined === "") return part;
    const lineBreak = joined.endsWith("\n") ? "" : "\n";
    // A byte order mark stands only where a stream begins.
    const next = part.replace(/^\ufeff/, "");
    return joined + lineBreak + separatorBetween(joined + lineBreak, next) + next;
  }, "");
}

/** Directives (`%YAML 1.2`) follow only the end of a document. */
function separatorBetween(before: string, next: string): string {
  if (
    next.startsWith("---") ||
    /\n\.\.\.[^\n]*\n$/.test(before.slice(before.lastIndexOf("\n", before.length - 2)))
  )
    return "";
  return next.startsWith("%") ? "...\n" : "---\n";
}
