/** Runs the program of a credential provider, within bounds. Nothing of what it writes is shown as it is. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { wordsOfError } from "./error-words.ts";

/** Why a provider did not hand out a credential, as the label of a metric. */
export type ProviderFailure =
  | "not-found"
  | "not-executable"
  | "timeout"
  | "too-long"
  | "exit-status"
  | "unusable-answer"
  | "no-credentials"
  | "cancelled";

/** The message is a predicate that follows the name of the provider, and shows nothing secret. */
export class ProviderFailedError extends Error {
  override readonly name = "ProviderFailedError";
  readonly failure: ProviderFailure;

  constructor(failure: ProviderFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** For its standard input. */
  readonly input: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

/** kubelet's. */
const TIMEOUT_MS = 60_000;
/** The largest tokens have some 10 KiB; a Secret has no place for more than 1 MiB. */
const MAX_OUTPUT_BYTES = 1024 * 1024;
const MAX_ERROR_BYTES = 4096;
/** After its end, what it wrote is there at once. */
const LAST_OUTPUT_MS = 500;

/**
 * What the program writes to its standard output. It is in a process group of its own, which is killed as soon as it ends or does not
 * end in time, so that nothing that it started stays. No shell is in between.
 *
 * @throws ProviderFailedError
 */
export async function runProgram({
  file,
  args,
  environment,
  input,
  signal,
  timeoutMs = TIMEOUT_MS,
}: Program): Promise<Buffer> {
  if (signal.aborted) throw new ProviderFailedError("cancelled", "was not run");
  let child: ChildProcessWithoutNullStreams;
  try {
    child = spawn(file, args, { cwd: "/", env: environment, detached: true, stdio: "pipe" });
  } catch (error) {
    throw describeSpawnError(error);
  }
  const closed = once(child, "close");
  let stoppedBy: ProviderFailedError | undefined;
  const stop = (failure: ProviderFailure, message: string): void => {
    stoppedBy ??= new ProviderFailedError(failure, message);
    killGroup(child);
  };
  child.once("exit", () => {
    // What it started may hold the pipes open, and may have left the group.
    killGroup(child);
    setTimeout(() => {
      child.stdout.destroy();
      child.stderr.destroy();
    }, LAST_OUTPUT_MS).unref();
  });
  const timer = setTimeout(() => {
    stop("timeout", `did not answer within ${(timeoutMs / 1000).toString()} s`);
  }, timeoutMs);
  const cancel = (): void => {
    stop("cancelled", "was stopped");
  };
  signal.addEventListener("abort", cancel);
  const read = readStreams(child, input, () => {
    stop("too-long", `wrote more than ${MAX_OUTPUT_BYTES.toString()} bytes`);
  });
  try {
    await closed;
  } catch (error) {
    throw describeSpawnError(error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
  }
  if (stoppedBy !== undefined) throw stoppedBy;
  const { output, errors } = read();
  if (child.exitCode === 0) return output;
  throw new ProviderFailedError("exit-status", describeExit(child, errors, output));
}

/** It leads a group of its own, because it is detached. */
function killGroup({ pid }: ChildProcessWithoutNullStreams): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody is left in the group.
  }
}

function readStreams(
  { stdin, stdout, stderr }: Partial<ChildProcessWithoutNullStreams>,
  input: string,
  onTooLong: () => void,
): () => { readonly output: Buffer; readonly errors: Buffer } {
  // There are no streams where the system has no file descriptors left.
  const output = collect(stdout, MAX_OUTPUT_BYTES, onTooLong);
  const errors = collect(stderr, MAX_ERROR_BYTES, () => undefined);
  // Who does not read the question may end before it is written.
  stdin?.on("error", () => undefined);
  stdin?.end(input);
  return () => ({ output: output(), errors: errors() });
}

/** docker's helpers say on standard output why they failed. */
function describeExit(
  { exitCode, signalCode }: ChildProcessWithoutNullStreams,
  errors: Buffer,
  output: Buffer,
): string {
  const how =
    exitCode === null ? `was ended by ${signalCode ?? "a signal"}` : `exited with ${exitCode.toString()}`;
  const [said = ""] = [errors, output.subarray(0, MAX_ERROR_BYTES)]
    .map((bytes) => wordsOfError(bytes.toString("utf8")))
    .filter((words) => words !== "");
  return said === "" ? how : `${how}: ${said}`;
}

/** Reads to the end and keeps the beginning. `onMore` is called where there is more. */
function collect(stream: Readable | undefined, maxBytes: number, onMore: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let length = 0;
  stream?.on("data", (chunk: Buffer) => {
    if (length + chunk.length > maxBytes) onMore();
    const kept = chunk.subarray(0, maxBytes - length);
    chunks.push(kept);
    length += kept.length;
  });
  return () => Buffer.concat(chunks);
}

function describeSpawnError(error: unknown): ProviderFailedError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT")
    return new ProviderFailedError("not-found", "is not in the directory of the programs");
  return new ProviderFailedError("not-executable", `cannot be run${code === "" ? "" : `: ${code}`}`);
}
