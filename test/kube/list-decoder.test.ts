import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import { decodeList, ListFormatError } from "../../src/kube/list-decoder.ts";

/** A body that comes in pieces of that many bytes; `onPiece` is called before each of them. */
async function* inPieces(text: string, size: number, onPiece: () => void = () => undefined) {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    onPiece();
    yield bytes.subarray(at, at + size);
  }
}

async function read(
  text: string,
  size = 7,
): Promise<{ readonly items: JsonObject[]; readonly rest: string }> {
  const items: JsonObject[] = [];
  const rest = await decodeList(inPieces(text, size), (item) => items.push(item));
  return { items, rest };
}

const METADATA = { resourceVersion: "7", continue: 'a"]}[{\\', ranges: [[1], { items: [2] }] };

describe("a list", () => {
  it("is handed on item by item, and what else is in it is returned", async () => {
    const items = [{ metadata: { name: "a", labels: {} }, data: ["x]}", '\\"'] }, {}, { ä: "\u2028" }];
    const { items: got, rest } = await read(
      JSON.stringify({ kind: "List", metadata: METADATA, items }, null, 1),
    );
    expect(got).toEqual(items);
    expect(JSON.parse(rest)).toEqual({ kind: "List", metadata: METADATA, items: [] });
  });

  it.each([
    ["without items", { kind: "List", metadata: METADATA }],
    ["with items that are null", { items: null, metadata: METADATA }],
    ["with none", { items: [], metadata: METADATA }],
    ["with other arrays", { others: [{ name: "a" }], metadata: METADATA }],
  ])("%s is returned as it is", async (_, list) => {
    const { items, rest } = await read(JSON.stringify(list));
    expect([items, JSON.parse(rest)]).toEqual([[], list]);
  });

  it("is read as JSON.parse reads it, whatever is in it and in whichever pieces it comes", async () => {
    const text = fc
      .array(fc.constantFrom("\\", '"', "[", "]", "{", "}", ",", "ä", "😀", "x"))
      .map((parts) => parts.join(""));
    const item = fc.dictionary(text, fc.oneof(text, fc.jsonValue()));
    await fc.assert(
      fc.asyncProperty(
        fc.array(item),
        fc.jsonValue(),
        fc.integer({ min: 1, max: 50 }),
        async (items, other, size) => {
          const list = { other, items, after: other };
          const { items: got, rest } = await read(JSON.stringify(list), size);
          expect(got).toEqual(JSON.parse(JSON.stringify(items)));
          expect(JSON.parse(rest)).toEqual(JSON.parse(JSON.stringify({ ...list, items: [] })));
        },
      ),
    );
  });

  it("never is in memory as a whole: an item is handed on before the next one has come", async () => {
    const item = { text: "x".repeat(1000) };
    const text = JSON.stringify({ items: Array.from({ length: 100 }, () => item) });
    let bytes = 0;
    const ahead: number[] = [];
    let count = 0;
    await decodeList(
      inPieces(text, 100, () => (bytes += 100)),
      () => {
        count++;
        ahead.push(bytes - (text.length * count) / 100);
      },
    );
    expect(count).toBe(100);
    expect(Math.max(...ahead)).toBeLessThan(200);
  });

  it("of which an item or the rest is too long is refused, and nothing more of it is read", async () => {
    const endless = async (start: string): Promise<number> => {
      let pieces = 0;
      // A body without end.
      async function* body() {
        yield Buffer.from(start);
        for (;;) {
          await Promise.resolve();
          pieces++;
          yield Buffer.alloc(1024, "x");
        }
      }
      await expect(decodeList(body(), () => undefined, 100_000)).rejects.toThrow(ListFormatError);
      return pieces;
    };
    expect(await endless('{"items":[{"a":"')).toBe(98);
    expect(await endless('{"metadata":{"continue":"')).toBe(64);
  });

  it.each(['{"items":[{"a":made-up-secret}]}', '{"items":[["made-up-secret"]]}'])(
    "whose items are no objects is refused, without quoting it: %s",
    async (text) => {
      await expect(read(text)).rejects.toThrow(
        new ListFormatError("an item of the list is not a JSON object"),
      );
    },
  );

  it("that is none is returned as it is", async () => {
    for (const text of ["<html>[{(", "", "[[[]]]", '{"items":[{'])
      expect((await read(text)).items).toEqual([]);
  });
});
