import { describe, expect, it } from "vitest";
import type { AddOperation } from "fast-json-patch";
import { editDocument, type EditedDocument } from "../../src/manifest/edit-document.ts";
import { parseDocument } from "../../src/manifest/parse-manifests.ts";

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

  it("gives a copy to that alias alone which gets more than the others", () => {
    const text = "a: &shared\n  x: 1\nb: *shared\nc: *shared\n";
    expect(edit(text, add("/a/y", 2), add("/b/y", 2), add("/c/y", 2), add("/c/z", 3))?.text).toBe(
      "a: &shared\n  x: 1\n  y: 2\nb: *shared\nc: {x: 1, y: 2, z: 3}\n",
    );
  });

  it("gives the place of an alias a value of its own, or leaves it the one that is at the anchor", () => {
    const text = "a: {m: &value x}\nb: {m: *value}\nc: {m: *value}\n";
    expect(edit(text, add("/a/m", "y"), add("/b/m", "y"), add("/c/m", "z"))?.text).toBe(
      'a: {m: &value "y"}\nb: {m: *value}\nc: {m: z}\n',
    );
  });

  it("follows an alias to a part that holds another alias", () => {
    const text = "x: &inner\n  list: [1]\na: &outer\n  in: *inner\nb: *outer\n";
    expect(edit(text, add("/a/in/list/-", 2), add("/b/in/list/-", 2))?.text).toBe(
      "x: &inner\n  list: [1]\na: &outer\n  in: {list: [1, 2]}\nb: *outer\n",
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

  it("lets a merge key have the addition where all its mappings get it", () => {
    const text = "base: &base\n  list: [1]\na:\n  <<: *base\n  x: 1\n";
    expect(edit(text, add("/base/list/-", 2), add("/a/list/-", 2))?.text).toBe(text.replace("[1]", "[1,2]"));
  });

  it.each([
    ["gets a member", "x", "<<: {list: [1]}"],
    ["changes a member", "list/-", "<<: {list: [1]}"],
  ])(
    "gives a merge key a copy where what it names %s that is not for its mapping",
    (_title, path, merged) => {
      const text = "base: &base\n  list: [1]\na:\n  <<: *base\nb:\n  <<: *base\n  x: 1\n  list: []\n";
      const edited = edit(text, add(`/base/${path}`, 2));
      expect(edited?.extent).toBe("additions");
      expect(edited?.text).toContain(`a:\n  ${merged}\nb:\n  <<: *base\n`);
    },
  );

  it("leaves aliases alone that have nothing to do with an addition", () => {
    const text = "a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc:\n  <<: [*a, *b]\n  z: *a\nd:\n  e: 1\n";
    expect(edit(text, add("/d/f", 2))?.text).toBe(`${text}  f: 2\n`);
    expect(edit(text, add("/c/f", 2))?.text).toBe(text.replace("z: *a\n", "z: *a\n  f: 2\n"));
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
