/** A load of reviews over kept HTTPS connections, by wrk. */
import path from "node:path";
import { requireDebianPrograms } from "../cluster/harness/debian-programs.ts";
import { runCommand } from "../cluster/harness/run-command.ts";

export interface Load {
  readonly url: string;
  /** The file of the review. */
  readonly bodyFile: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadReport {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Milliseconds. */
  readonly p99: number;
}

const SCRIPT = path.join(import.meta.dirname, "post-review.lua");

/** Installs wrk if it is missing, and keeps its runs to one core. */
export async function findWrk(core: string): Promise<(load: Load) => Promise<LoadReport>> {
  const { wrk } = await requireDebianPrograms(["wrk"], console.error);
  return async ({ url, bodyFile, connections, seconds }) => {
    const { stdout } = await runCommand("taskset", [
      ...["--cpu-list", core, wrk],
      ...["--threads", "1", "--connections", connections.toString(), "--duration", `${seconds.toString()}s`],
      ...["--script", SCRIPT, url, "--", bodyFile],
    ]);
    const outcome = JSON.parse(stdout.slice(stdout.lastIndexOf("{"))) as Outcome;
    if (outcome.errors > 0) throw new Error(`${url}: ${outcome.errors.toString()} requests failed`);
    const { requests, p99 } = outcome;
    return { requests, requestsPerSecond: requests / outcome.seconds, p99 };
  };
}

/** What the script prints. */
interface Outcome {
  readonly requests: number;
  readonly seconds: number;
  readonly p99: number;
  readonly errors: number;
}
