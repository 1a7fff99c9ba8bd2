import { describe, expect, it } from "vitest";
import type { AddOperation } from "fast-json-patch";
import { editDocument, type EditedDocument } from "../../src/manifest/edit-document.ts";
import { parseDocument } from "../../src/manifest/parse-document.ts";

function edit(text: string, ...operations: readonly AddOperation<unknown>[]): EditedDocument | undefined {
  const { yaml, value, fault } = parseDocument(text);
  expect(fault).toBeUndefined();
  if (yaml === undefined) throw new Error("there is no document");
  return editDocument(text, yaml, value, operations);
}

function add(path: string, value: unknown): AddOperation<unknown> {
  return { op: "add", path, value };
}

describe("editDocument", () => {
  it.each([
    ["a line break", "# head\nspec:\n    volumes:\n    -   name: a # first\n\n        emptyDir:\n"],
    ["none", "# head\nspec:\n    volumes:\n    -   name: a # first\n\n        emptyDir:"],
    ["a comment", "# head\nspec:\n    volumes:\n    -   name: a # first\n\n        emptyDir: # foot\n"],
  ])("adds to a document that ends with an empty value and %s, and changes nothing else", (_title, text) => {
    expect(edit(text, add("/spec/hostNetwork", true))).toEqual({
      text: `${text.replace(/\n$/, "")}\n    hostNetwork: true${text.endsWith("\n") ? "\n" : ""}`,
      extent: "additions",
    });
  });

  it("lets what an alias names have the addition where all its places get it", () => {
    const text = "a: &shared\n  x: 1\nb: *shared\n";
    expect(edit(text, add("/a/y", 2), add("/b/y", 2))).toEqual({
      text: "a: &shared\n  x: 1\n  y: 2\nb: *shared\n",
      extent: "additions",
    });
  });

  it("gives an alias a copy where it alone gets an addition; numbers are as they were written", () => {
    const text =
      "a: &shared\n  mode: 0400 # octal for kubectl\n  big: 12345678901234567890\n  on: yes\nb: *shared # two\n";
    expect(edit(text, add("/b/y", 2))?.text).toBe(
      text.replace("*shared", "{mode: 0400, big: 12345678901234567890, on: yes, y: 2}"),
    );
  });

  it("gives other aliases a copy where what they name gets an addition that is not theirs", () => {
    const text = "a: &shared\n  x: 1\nb: *shared\nc: [*shared]\n";
    expect(edit(text, add("/a/y", 2))?.text).toBe("a: &shared\n  x: 1\n  y: 2\nb: {x: 1}\nc: [{x: 1}]\n");
  });

  it("gives a mapping a list of its own where a merge key has it from elsewhere", () => {
    const text = "base: &base\n  list: [1]\na:\n  <<: *base\n  x: 1\n";
    expect(edit(text, add("/a/list/-", 2))?.text).toBe(`${text}  list: [1, 2]\n`);
  });

  it("adds to the last of two equal keys, which counts", () => {
    const text = "spec:\n  a: 1\nspec:\n  b: 2\n";
    expect(edit(text, add("/spec/c", 3))?.text).toBe(`${text}  c: 3\n`);
  });

  it("ends added lines as the line before them", () => {
    expect(edit("a:\r\n  b: 1\r\nc: 2\n", add("/a/x", 1), add("/d", 3))?.text).toBe(
      "a:\r\n  b: 1\r\n  x: 1\r\nc: 2\nd: 3\n",
    );
  });

  it("reformats a document without a plain place, with each comment once, and numbers as they were written", () => {
    const text = "# head\n\n# of a\na: |\n  text\nmode: 0400 # octal\n# foot\n";
    expect(edit(text, add("/a", "new"))).toEqual({
      text: "# head\n\n# of a\na: new\nmode: 0400 # octal\n\n# foot\n",
      extent: "reformatted",
    });
  });

  it("says so where no text gives what is wanted", () => {
    expect(edit("a: !!set {x}\n", add("/a/y", 1))).toBeUndefined();
  });
});
