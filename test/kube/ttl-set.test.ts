import { expect, it } from "vitest";
import { createTtlSet } from "../../src/kube/event-recorder.ts";

it("remembers a key for a while, from when it was added last", () => {
  const keys = createTtlSet({ ttlMs: 100, maxKeys: 10 });
  const times = [0, 99, 100, 199, 200].filter((nowMs) => keys.add("a", nowMs));
  expect(times).toEqual([0, 100, 200]);
});

it("forgets a key when told so", () => {
  const keys = createTtlSet({ ttlMs: 100, maxKeys: 10 });
  keys.add("a", 0);
  keys.forget("a");
  expect(keys.add("a", 1)).toBe(true);
});

it("forgets the oldest where there are too many", () => {
  const keys = createTtlSet({ ttlMs: 100, maxKeys: 3 });
  for (const key of ["a", "b", "c"]) keys.add(key, 0);
  keys.add("a", 100);
  keys.add("d", 101);
  // b was the oldest: a was added again.
  expect(["a", "c", "d", "b"].map((key) => keys.add(key, 99))).toEqual([false, false, false, true]);
});
