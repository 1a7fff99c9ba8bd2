import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { escapeControls, quote } from "../../src/core/quote.ts";

describe("a text of others", () => {
  it.each([
    ["a line break", "a\nb", "a\\nb"],
    ["quotation marks and a backslash", '"a\\b"', '\\"a\\\\b\\"'],
    [
      "ESC, and CSI of eight bits, with which sequences for terminals begin",
      "\u001b[2J\u009b2J",
      "\\u001b[2J\\u009b2J",
    ],
    ["DEL and NEL", "\u007f\u0085", "\\u007f\\u0085"],
    ["what else breaks lines", "\u2028\u2029", "\\u2028\\u2029"],
    ["nothing in letters of any language", "é漢🐳", "é漢🐳"],
  ])("has %s escaped", (_title, text, escaped) => {
    expect(escapeControls(text)).toBe(escaped);
    expect(quote(text)).toBe(`"${escaped}"`);
  });

  it("is cut at 120 characters", () => {
    expect(quote("x".repeat(120))).toBe(`"${"x".repeat(120)}"`);
    expect(quote("x".repeat(121))).toBe(`"${"x".repeat(120)}…"`);
  });

  it("is one line that controls no terminal, and reads as JSON, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        expect(quote(text)).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(JSON.parse(`"${escapeControls(text)}"`)).toBe(text);
      }),
    );
  });
});
