import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { joinFiles } from "../../src/manifest/split-documents.ts";
import { splitDocuments } from "../../src/manifest/split-documents.ts";
import { anyManifests } from "./any-manifest.ts";

describe("splitDocuments", () => {
  it("gives parts that are the text again when they are joined", () => {
    const pieces = fc.constantFrom(
      "---",
      "...",
      "\n",
      "\r",
      "# c",
      "%YAML 1.2",
      "a: b",
      "{",
      "}",
      '{"a":1}',
      '"',
      "\\",
      " ",
      "\ufeff",
    );
    const anyText = fc.array(pieces).map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.oneof(anyText, anyManifests), (text) => {
        expect(splitDocuments(text).join("")).toBe(text);
      }),
    );
  });

  it.each([
    ["documents", "a: 1\n---\nb: 2\n", ["a: 1\n", "---\nb: 2\n"]],
    ["a marker with a comment", "a: 1\n--- # next\nb: 2\n", ["a: 1\n", "--- # next\nb: 2\n"]],
    ["a marker at the start", "---\na: 1\n---\n---\nb: 2", ["---\na: 1\n", "---\n", "---\nb: 2"]],
    ["a comment before the marker", "# head\n---\na: 1\n", ["# head\n---\na: 1\n"]],
    ["directives", "a: 1\n...\n%YAML 1.1\n---\nb: 2\n", ["a: 1\n...\n", "%YAML 1.1\n---\nb: 2\n"]],
    ["what only begins like a marker", "a: |\n  ---\n----\n---x\n", ["a: |\n  ---\n----\n---x\n"]],
    ["CR alone", "a: 1\r---\rb: 2\r", ["a: 1\r", "---\rb: 2\r"]],
    ["JSON values on lines", '{"a":"}{"}\n{"b":2}\n', ['{"a":"}{"}\n', '{"b":2}\n']],
    ["JSON values side by side", '{"a":"\\"{"}{"b":2}', ['{"a":"\\"{"}', '{"b":2}']],
    ["JSON values behind a marker", 'a: 1\n---\n{"a":1}\n{"b":2}', ["a: 1\n", '---\n{"a":1}\n', '{"b":2}']],
    ["braces that are not JSON", "{a: 1}\n{b: 2}", ["{a: 1}\n{b: 2}"]],
    ["nothing", "", []],
  ] as const)("divides %s", (_title, text, parts) => {
    expect(splitDocuments(text)).toEqual(parts);
  });
});

describe("joinFiles", () => {
  it("leaves a single file as it is", () => {
    expect(joinFiles(["", '{"a":1}{"b":2}'])).toBe('{"a":1}{"b":2}');
  });

  it("puts a marker between JSON values, since kubectl reads no marker after the second of them", () => {
    expect(joinFiles(['{"a":1}\n{"b":2}', "c: 3\n"])).toBe('{"a":1}\n---\n{"b":2}\n---\nc: 3\n');
  });

  it("puts none where a document has ended already", () => {
    expect(joinFiles(["a: 1\n...\n", "b: 2\n"])).toBe("a: 1\n...\nb: 2\n");
  });
});
