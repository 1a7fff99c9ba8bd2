/** Rows of the replicator's table, and figures as they stand there. */
import { residentMemory } from "./resident-memory.ts";
import type { RunningPod } from "./start-in-pod.ts";

export function printRow(what: string, target: string, measured: string | number): void {
  console.log(`| ${what} | ${target} | ${measured.toString()} |`);
}

export function describeTimes(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (fraction: number): string => (sorted[Math.floor(sorted.length * fraction)] ?? NaN).toFixed(0);
  return `${at(0.99)} ms (p50 ${at(0.5)} ms, most ${at(0.9999)} ms, ${times.length.toString()} namespaces)`;
}

export function describeMemory({ pid }: RunningPod): string {
  const { now, peak } = residentMemory(pid);
  return `${now.toFixed(0)} MiB (peak ${peak.toFixed(0)} MiB)`;
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
