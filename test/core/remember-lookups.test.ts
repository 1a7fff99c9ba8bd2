import { describe, expect, it } from "vitest";
import type { ImageLookup } from "../../src/core/registry.ts";
import { rememberLookups } from "../../src/core/remember-lookups.ts";

function counted(): { readonly lookUp: (image: string) => ImageLookup; readonly asked: string[] } {
  const asked: string[] = [];
  const lookUp = rememberLookups((image) => {
    asked.push(image);
    return { kind: "invalid", reason: image };
  });
  return { lookUp, asked };
}

describe("rememberLookups", () => {
  it("gives every image its own answer, whatever came before it", () => {
    const { lookUp, asked } = counted();
    const images = "a a b a c a b c b a a c c b d b a d".split(" ");
    expect(images.map((image) => lookUp(image))).toEqual(
      images.map((image) => ({ kind: "invalid", reason: image })),
    );
    expect(asked).toEqual(["a", "b", "c", "d"]);
  });

  it("forgets all when there are too many, and goes on", () => {
    const { lookUp, asked } = counted();
    const images = Array.from({ length: 5000 }, (_, index) => `image-${index.toString()}`);
    for (const image of [...images, ...images]) {
      expect(lookUp(image)).toEqual({ kind: "invalid", reason: image });
    }
    expect(asked.length).toBeGreaterThan(images.length);
  });

  it("does not remember long texts", () => {
    const { lookUp, asked } = counted();
    const long = "a".repeat(513);
    expect(lookUp(long)).toEqual(lookUp(long));
    expect(asked).toEqual([long, long]);
  });
});
