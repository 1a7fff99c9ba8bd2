/** The memory of a process, from Linux. */
import { readFileSync } from "node:fs";

/** In MiB. */
export interface ResidentMemory {
  readonly now: number;
  /** The most it ever was. */
  readonly peak: number;
}

export function residentMemory(pid: number): ResidentMemory {
  const status = readFileSync(`/proc/${pid.toString()}/status`, "latin1");
  const mebibytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
  return { now: mebibytes("VmRSS"), peak: mebibytes("VmHWM") };
}
