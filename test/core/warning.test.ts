import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WarningList } from "../../src/core/warning.ts";

function limitWarnings(warnings: readonly string[]): readonly string[] {
  const list = new WarningList();
  for (const warning of warnings) list.add(() => warning);
  return list.texts();
}

describe("a list of warnings", () => {
  it("leaves good warnings as they are", () => {
    expect(limitWarnings([])).toEqual([]);
    expect(limitWarnings(["one", "two"])).toEqual(["one", "two"]);
  });

  it("puts a blank for line breaks and other control characters, and says a thing once", () => {
    expect(limitWarnings(["a\r\nb\u0085c", "a b c"])).toEqual(["a b c"]);
  });

  it("cuts a long one at 120 characters", () => {
    expect(limitWarnings(["x".repeat(120), "y".repeat(121)])).toEqual([
      "x".repeat(120),
      `${"y".repeat(119)}…`,
    ]);
  });

  it("sends eight, the last of which counts the rest", () => {
    const nine = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
    expect(limitWarnings(nine.slice(0, 8))).toEqual(nine.slice(0, 8));
    expect(limitWarnings(nine)).toEqual([...nine.slice(0, 7), "and 2 more warnings like these"]);
  });

  it("does not write what it will not send", () => {
    const list = new WarningList();
    let written = 0;
    for (let count = 0; count < 100; count++) list.add(() => (++written).toString());
    expect(written).toBe(8);
    expect(list.texts().at(-1)).toBe("and 93 more warnings like these");
  });

  it("makes whatever it is given fit for a header of the API server", () => {
    const warnings = fc.array(fc.string({ unit: "binary", maxLength: 300 }), { maxLength: 20 });
    fc.assert(
      fc.property(warnings, (texts) => {
        const limited = limitWarnings(texts);
        expect(limited.length).toBeLessThanOrEqual(8);
        expect(new Set(limited).size).toBe(limited.length);
        for (const line of limited) {
          expect(line.length).toBeLessThanOrEqual(120);
          expect(line).not.toMatch(/\p{Cc}/u);
          expect(line.isWellFormed()).toBe(true);
        }
      }),
    );
  });
});
