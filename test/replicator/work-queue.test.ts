import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Priority } from "../../src/replicator/ports.ts";
import { WorkQueue } from "../../src/replicator/work-queue.ts";

/** A queue in which a key is handled until the test ends it. */
function heldQueue(concurrency = 1) {
  const started: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const failures: { readonly key: string; readonly retryInMs: number }[] = [];
  const queue = new WorkQueue({
    concurrency,
    random: () => 1,
    onFailure: (key, _, retryInMs) => failures.push({ key, retryInMs }),
    handle: (key, priority) => {
      started.push(`${key} ${priority}`);
      return new Promise((resolve, reject) => {
        ends.set(key, (error) => {
          if (error === undefined) resolve();
          else reject(error);
        });
      });
    },
  });
  const end = async (key: string, error?: Error): Promise<void> => {
    ends.get(key)?.(error);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { queue, started, failures, end };
}

describe("WorkQueue", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it("starts nothing before it is resumed, nor after a pause", async () => {
    const { queue, started, end } = heldQueue();
    queue.add("a", "low");
    expect(started).toEqual([]);
    queue.resume();
    expect(started).toEqual(["a low"]);
    queue.add("b", "low");
    queue.pause();
    await end("a");
    expect(started).toEqual(["a low"]);
    queue.resume();
    expect(started).toEqual(["a low", "b low"]);
  });

  it("holds a key once, and handles it again if it is added meanwhile", async () => {
    const { queue, started, end } = heldQueue(4);
    queue.resume();
    queue.add("a", "low");
    queue.add("a", "low");
    queue.add("a", "high");
    expect(started).toEqual(["a low"]);
    expect(queue.depth).toBe(1);
    await end("a");
    expect(started).toEqual(["a low", "a high"]);
    await end("a");
    expect(queue.depth).toBe(0);
  });

  it("does not make keys of high priority wait for low priority, and moves up a key whose priority rises", () => {
    const { queue, started } = heldQueue(1);
    queue.resume();
    for (const key of ["a", "b", "c"]) queue.add(key, "low");
    queue.add("c", "high");
    expect(started).toEqual(["a low", "c high"]);
    queue.add("b", "high");
    queue.add("b", "low");
    expect(queue.depth).toBe(3);
  });

  it.each<[Priority]>([["high"], ["low"]])(
    "handles no more keys at once than allowed (%s)",
    async (priority) => {
      const { queue, started, end } = heldQueue(2);
      queue.resume();
      for (const key of ["a", "b", "c"]) queue.add(key, priority);
      expect(started).toHaveLength(2);
      await end("b");
      expect(started).toEqual([`a ${priority}`, `b ${priority}`, `c ${priority}`]);
    },
  );

  it("retries a key with growing delays, and starts over after a success", async () => {
    const { queue, started, failures, end } = heldQueue();
    queue.resume();
    queue.add("a", "low");
    for (const wait of [250, 500, 1000]) {
      await end("a", new Error("made to fail"));
      await vi.advanceTimersByTimeAsync(wait);
    }
    await end("a");
    queue.add("a", "low");
    await end("a", new Error("made to fail"));
    expect(failures.map(({ retryInMs }) => retryInMs)).toEqual([250, 500, 1000, 250]);
    expect(started).toHaveLength(5);
  });

  it("waits no longer than five minutes", async () => {
    const { queue, failures, end } = heldQueue();
    queue.resume();
    queue.add("a", "low");
    for (let count = 0; count < 20; count++) {
      await end("a", new Error("made to fail"));
      await vi.advanceTimersByTimeAsync(5 * 60_000);
    }
    expect(failures.at(-1)?.retryInMs).toBe(5 * 60_000);
  });

  it("retries a key with the priority that it had, or got meanwhile, and keeps that when it is added with a lower one", async () => {
    const { queue, started, end } = heldQueue();
    queue.resume();
    for (const key of ["a", "b"]) queue.add(key, "low");
    queue.add("new", "high");
    await end("new", new Error("made to fail"));
    await vi.advanceTimersByTimeAsync(250);
    expect(started).toEqual(["a low", "new high", "new high"]);
    await end("new", new Error("made to fail"));
    queue.add("new", "low");
    expect(started.slice(3)).toEqual(["new high"]);
    await end("new");
    queue.add("a", "high");
    await end("a", new Error("made to fail"));
    await vi.advanceTimersByTimeAsync(250);
    expect(started.slice(4)).toEqual(["b low", "a high"]);
  });

  it("after a clear handles nothing again that was being handled, also what failed, but what is added later", async () => {
    const { queue, started, failures, end } = heldQueue(3);
    queue.resume();
    for (const key of ["again", "fails", "later"]) queue.add(key, "low");
    queue.add("again", "high");
    queue.pause();
    queue.clear();
    queue.add("later", "low");
    await end("again");
    await end("fails", new Error("made to fail"));
    await vi.advanceTimersByTimeAsync(2000);
    expect(queue.depth).toBe(1);
    await end("later", new Error("made to fail"));
    queue.resume();
    expect(started).toEqual(["again low", "fails low", "later low", "later low"]);
    expect(failures).toEqual([]);
    await end("later");
    expect(queue.depth).toBe(0);
  });

  it("handles a delayed key at once when it is added, and forgets it when the queue is cleared", async () => {
    const { queue, started, end } = heldQueue();
    queue.resume();
    queue.addLater("a", 1000);
    queue.addLater("b", 1000);
    queue.add("a", "low");
    expect(started).toEqual(["a low"]);
    await end("a");
    queue.clear();
    await vi.advanceTimersByTimeAsync(2000);
    expect(started).toEqual(["a low"]);
  });
});
