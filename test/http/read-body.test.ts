import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { MAX_COST } from "../../src/http/partial-body.ts";
import { turns } from "../../src/http/read-body.ts";

it("what large bodies leave is collected before the next would exceed the largest alone", async () => {
  const events: string[] = [];
  const takeTurn = turns(() => events.push("collect"));
  for (const [name, cost] of [
    ["third", MAX_COST / 3],
    ["two thirds", (2 * MAX_COST) / 3],
    ["one more", 1],
    ["largest", MAX_COST],
    ["another", MAX_COST],
  ] as const) {
    takeTurn(cost, () => events.push(name));
  }
  expect(events).toEqual([]);
  await nextTurn();
  expect(events).toEqual(["third"]);
  while (events.at(-1) !== "another") await nextTurn();
  expect(events).toEqual([
    "third",
    "two thirds",
    "collect",
    "one more",
    "collect",
    "largest",
    "collect",
    "another",
  ]);
});
