import { describe } from "vitest";
import { clusterAvailability, type ClusterLevel } from "./availability.ts";

/**
 * Describes tests that need a cluster. Where none can be started they are skipped, with the reason on standard error,
 * because Vitest does not print the titles of what it skips; under `CI=true` that is an error.
 */
export async function describeLevel(level: ClusterLevel, title: string, tests: () => void): Promise<void> {
  const availability = await clusterAvailability(level);
  if (!availability.available) process.stderr.write(`SKIPPED ${title}: ${availability.reason}\n`);
  describe.skipIf(!availability.available)(title, tests);
}
