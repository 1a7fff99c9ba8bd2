/** Keeps V8's heap small: it grows by less before it is cleared, and is given back to the system when there is nothing to do. */
import { performance, type EventLoopUtilization } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const CHECK_INTERVAL_MS = 15_000;
/** Of the time between two checks. It is what 600 small reviews a second take, at 31 µs each. */
const MAX_UTILIZATION = 0.02;
/** A collection halts everything, for 42 ms after the start and for longer where the heap is larger; less is not worth it. */
const MIN_GROWTH_BYTES = 4 * 1024 * 1024;

/**
 * By itself V8 lets the heap grow to many times of what is in use before it clears it, up to the whole of the container's limit.
 * Also makes `gc` a global, as `--expose-gc` does. On Node's command line these two flags would make V8 refuse the compiled code that
 * Node has of its own modules, which is a tenth of the processor time of a start.
 */
export function limitHeap(): void {
  setFlagsFromString("--heap-growing-percent=50");
  setFlagsFromString("--expose-gc");
  globalThis.gc = runInNewContext("gc") as NodeJS.GCFunction;
}

/** What it goes by; a test has other ones. */
export interface MemoryInfo {
  /** Collects all garbage and gives up the room that it took. */
  readonly collect: () => void;
  readonly heapBytes: () => number;
  readonly utilization: (since?: EventLoopUtilization) => EventLoopUtilization;
}

const FACTS: MemoryInfo = {
  collect: () => globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" }),
  heapBytes: () => getHeapStatistics().total_heap_size,
  utilization: (since) => performance.eventLoopUtilization(since),
};

export interface MemoryReturn {
  stop(): void;
}

/**
 * Starting, and listing a large cluster, makes V8 take room for new objects (twice --max-semi-space-size) that it keeps
 * for as long as it lives: its own collections while idle do not give it up. So one is asked for at each check that finds
 * the process idle and the heap larger than after the last one.
 */
export function returnMemoryWhenIdle({ collect, heapBytes, utilization }: MemoryInfo = FACTS): MemoryReturn {
  let bytesAfterLast = 0;
  let before = utilization();
  const timer = setInterval(() => {
    const isIdle = utilization(before).utilization <= MAX_UTILIZATION;
    if (isIdle && heapBytes() >= bytesAfterLast + MIN_GROWTH_BYTES) {
      collect();
      bytesAfterLast = heapBytes();
    }
    before = utilization();
  }, CHECK_INTERVAL_MS).unref();
  return {
    stop() {
      clearInterval(timer);
    },
  };
}
