import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { returnMemoryWhenIdle } from "../../src/serve/heap.ts";

const MEBIBYTE = 1024 * 1024;

describe("memory is returned to the system", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** A process that uses so much, is so busy, and has 20 MiB left after a collection. */
  function start() {
    const state = { heapMiB: 40, utilization: 0, collections: 0 };
    const memory = returnMemoryWhenIdle({
      collect() {
        state.collections++;
        state.heapMiB = 20;
      },
      heapBytes: () => state.heapMiB * MEBIBYTE,
      utilization: () => ({ idle: 0, active: 0, utilization: state.utilization }),
    });
    const collectionsAfter = (change: Partial<typeof state>) => {
      const before = state.collections;
      Object.assign(state, change);
      vi.advanceTimersByTime(15_000);
      return state.collections - before;
    };
    return { memory, collectionsAfter };
  }

  /*
   * busy | grown by 4 MiB since the last time | collected
   * yes  |                                    | no
   * no   | no                                 | no
   * no   | yes                                | yes
   */
  it("once it is idle, and again when it has grown since", () => {
    const { collectionsAfter } = start();
    expect(collectionsAfter({ utilization: 0.5 })).toBe(0);
    expect(collectionsAfter({ utilization: 0.01 })).toBe(1);
    expect(collectionsAfter({})).toBe(0);
    expect(collectionsAfter({ heapMiB: 23 })).toBe(0);
    expect(collectionsAfter({ heapMiB: 24, utilization: 0.03 })).toBe(0);
    expect(collectionsAfter({ utilization: 0.02 })).toBe(1);
  });

  it("no more once it is stopped", () => {
    const { memory, collectionsAfter } = start();
    memory.stop();
    expect(collectionsAfter({})).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
