/** Writes what holds credentials: to a file that only its owner reads, or to standard output. */
import { randomUUID } from "node:crypto";
import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { ReportedError, UsageError, type ProgramIo } from "./program-io.ts";

export const OUTPUT_OPTION = [
  "--output <file>",
  "write to this file, with mode 0600; - is standard output, even if it is a terminal; default: standard output, unless it is a terminal",
] as const;

/** To be called before anything is read, so that wrong usage costs nothing. @throws UsageError */
export function requireOutput(output: string | undefined, { isTerminal }: ProgramIo): void {
  if (output === undefined && isTerminal)
    throw new UsageError("this would show credentials on the terminal: add --output FILE, or --output -");
}

/**
 * A file is replaced as a whole, so that no reader finds half of it and a looser mode does not stay. A device or a pipe is
 * refused: a file would take its place.
 */
export function writeSecret(text: string, output: string | undefined, io: ProgramIo): void {
  if (output === undefined || output === "-") {
    io.writeOut(text);
    return;
  }
  if (statSync(output, { throwIfNoEntry: false })?.isFile() === false)
    throw new UsageError(`--output ${output}: it is there and not a file; - is standard output`);
  const temporary = `${output}.${randomUUID()}`;
  try {
    writeFileSync(temporary, text, { flag: "wx", mode: 0o600, flush: true });
    renameSync(temporary, output);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Reports what is wrong, and ends the command if something is. @throws ReportedError */
export function failWith(lines: readonly string[], io: ProgramIo): void {
  if (lines.length === 0) return;
  io.writeError(lines.map((line) => `error: ${line}\n`).join(""));
  throw new ReportedError(1);
}
