import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeManifests, encodeManifests } from "../../src/manifest/encoding.ts";

describe("decodeManifests and encodeManifests", () => {
  it("are inverse for any bytes that do not end within a character of UTF-16", () => {
    const mark = fc.constantFrom([], [0xff, 0xfe], [0xfe, 0xff], [0xef, 0xbb, 0xbf]);
    const bytes = fc
      .tuple(mark, fc.uint8Array(), fc.constantFrom("", "ü\n", "é😀\n"))
      .map(([before, any, text]) => Buffer.concat([Buffer.from(before), any, Buffer.from(text)]));
    fc.assert(
      fc.property(bytes, (input) => {
        const isUtf16 = input[0] === 0xff ? input[1] === 0xfe : input[0] === 0xfe && input[1] === 0xff;
        fc.pre(!isUtf16 || input.length % 2 === 0);
        const { text, encoding } = decodeManifests(input);
        expect(encodeManifests(text, encoding)).toEqual(input);
      }),
    );
  });

  it("keep a long line of bytes that are not UTF-8", () => {
    const bytes = Buffer.alloc(1_000_000, 0xe9);
    const { text, encoding } = decodeManifests(bytes);
    expect(encodeManifests(text, encoding).equals(bytes)).toBe(true);
  });

  it("refuse UTF-16 that ends within a character", () => {
    expect(() => decodeManifests(Buffer.from([0xff, 0xfe, 0x61]))).toThrow(
      "UTF-16 with an odd number of bytes",
    );
  });
});
