import { describe, expect, it } from "vitest";
import { inParallel } from "../../src/registry-client/in-parallel.ts";

describe("inParallel", () => {
  it("keeps the order, and works on no more items at once than it may", async () => {
    let running = 0;
    let most = 0;
    const results = await inParallel([5, 1, 4, 2, 3], 2, async (ms) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, ms));
      running--;
      return ms * 10;
    });
    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(2);
  });

  it("has nothing to do without items", async () => {
    expect(await inParallel([], 8, () => Promise.reject(new Error("not called")))).toEqual([]);
  });

  it("fails with the first of its items that does", async () => {
    await expect(inParallel([1], 8, () => Promise.reject(new Error("one")))).rejects.toThrow("one");
  });
});
