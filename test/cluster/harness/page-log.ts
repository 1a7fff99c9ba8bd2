import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";

const PAGE = join(import.meta.dirname, "..", "..", "..", "docs", "build-pods.md");

/** The lines that the page on build pods shows below a command in a block of text, as {@link linesOf} leaves them. */
export async function linesInPage(command: string): Promise<readonly string[]> {
  const [, block] = (await readFile(PAGE, "utf8")).split(`\`\`\`text\n$ ${command}\n`);
  if (block === undefined) throw new Error(`docs/build-pods.md does not show ${command}`);
  const [text = ""] = block.split("```");
  return linesOf(text);
}

/** Lines without colours and what differs from run to run: addresses, seconds, digests, and spaces at the end. */
export function linesOf(log: string): readonly string[] {
  return stripVTControlCharacters(log)
    .replaceAll(/127\.\d+\.\d+\./g, "127.N.N.")
    .replaceAll(/INFO\[\d+\]/g, "INFO")
    .replaceAll(/sha256:[0-9a-f]{64}/g, "sha256:N")
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
}
