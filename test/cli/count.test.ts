import { expect, it } from "vitest";
import { count } from "../../src/cli/count.ts";

it.each([
  [0, "0 copies"],
  [1, "1 copy"],
  [2, "2 copies"],
])("counts %i", (number, text) => {
  expect(count(number, "copy", "copies")).toBe(text);
});
