/** Waits for what a replica does. */
import { performance } from "node:perf_hooks";
import { waitUntil } from "../wait-until.ts";
import type { RunningPod } from "./start-in-pod.ts";

/** Milliseconds from the start of the process until it leads. */
export async function awaitLeadership(pod: RunningPod): Promise<number> {
  return waitUntil("it to lead", () => pod.loggedAfterMs("leading: this replica writes"), {
    timeoutMs: 120_000,
  });
}

export async function awaitFirstWrite(pod: RunningPod, action: string, timeoutMs = 30_000): Promise<void> {
  await waitUntil(`a write that is an ${action}`, async () => (await writesOf(pod, action)) > 0, {
    timeoutMs,
  });
}

/** Milliseconds until so many copies were written, and nothing is left to do. */
export async function awaitWrites(
  pod: RunningPod,
  action: string,
  count: number,
  requestsPerSecond: number,
): Promise<number> {
  const startedAt = performance.now();
  const progressAt = { time: startedAt, writes: -1 };
  return waitUntil(
    `${count.toString()} writes`,
    async () => {
      const writes = await writesOf(pod, action);
      if (writes > progressAt.writes) Object.assign(progressAt, { time: performance.now(), writes });
      if (writes < count || (await pod.metric("pullpass_queue_depth")) > 0) return undefined;
      return progressAt.time - startedAt;
    },
    { timeoutMs: 120_000 + (3 * count * 1000) / requestsPerSecond, intervalMs: 500 },
  );
}

function writesOf(pod: RunningPod, action: string): Promise<number> {
  return pod.metric("pullpass_writes_total", `action="${action}",outcome="written"`);
}
