/** The load in a process of its own, so that it can be kept on a core of its own. Speaks JSON with its parent. */
import { runLoad, type LoadOptions } from "./load.ts";

export interface LoadOrder extends Omit<LoadOptions, "body"> {
  readonly body: string;
}

/** Milliseconds, and requests a second. */
export interface LoadReport {
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
}

process.on("message", (order: LoadOrder) => {
  void runLoad({ ...order, body: Buffer.from(order.body) }).then(({ requests, elapsedMs, latencies }) => {
    const at = (fraction: number): number => latencies[Math.floor(latencies.length * fraction)] ?? NaN;
    process.send?.({ requestsPerSecond: (requests / elapsedMs) * 1000, p50: at(0.5), p99: at(0.99) });
  });
});
