/** What lint does not hold of who imports whom. */
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { expect, it } from "vitest";

it("no files of the source import each other in a circle, not even for a type", () => {
  const files = globSync("src/**/*.{ts,tsx}");
  expect(files.length).toBeGreaterThan(100);
  const importsOf = new Map(files.map((file) => [file, importsIn(file)]));
  const known = (file: string): readonly string[] => importsOf.get(file) ?? [];
  // What imports nothing that is left is in no circle.
  let left = new Set(files);
  for (let before = Infinity; left.size < before;) {
    before = left.size;
    left = new Set([...left].filter((file) => known(file).some((imported) => left.has(imported))));
  }
  // Nor is what is only on the way to one.
  for (let before = Infinity; left.size < before;) {
    before = left.size;
    const imported = new Set([...left].flatMap(known));
    left = new Set([...left].filter((file) => imported.has(file)));
  }
  expect([...left]).toEqual([]);
});

function importsIn(file: string): readonly string[] {
  return ts
    .preProcessFile(readFileSync(file, "utf8"))
    .importedFiles.filter(({ fileName }) => fileName.startsWith("."))
    .map(({ fileName }) => path.join(path.dirname(file), fileName));
}
