import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { NoUseWaitingError, waitUntil } from "../../wait-until.ts";

export interface Daemon {
  readonly name: string;
  readonly pid: number;
  /** The file with all that it wrote to standard output and standard error, over restarts too. */
  readonly logFile: string;
  /** Settles when it has ended, however it did. */
  readonly ended: Promise<void>;
  /** Asks it to end, and kills it when it has not after five seconds. */
  stop(): Promise<void>;
}

export interface DaemonOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logDirectory: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Tells whether it serves; called again and again until it returns true. An error means "not yet". */
  readonly isReady?: () => Promise<boolean> | boolean;
  readonly readyTimeoutMs?: number;
}

const STOP_TIMEOUT_MS = 5_000;

/**
 * Starts a program that the kernel kills when this process dies, however it dies, and waits until it is ready. For the
 * kernel the parent is the thread: call it from the main one, as Vitest's pool of processes does.
 */
export async function runDaemon(options: DaemonOptions): Promise<Daemon> {
  const { name, command, args, logDirectory, env, isReady, readyTimeoutMs = 60_000 } = options;
  mkdirSync(logDirectory, { recursive: true });
  const logFile = join(logDirectory, `${name}.log`);
  const log = openSync(logFile, "a");
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", command, ...args], {
    cwd: "/",
    env: { ...process.env, ...env },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => {
      resolve();
    });
  });
  const pid = await new Promise<number>((resolve, reject) => {
    child.once("error", reject).once("spawn", () => {
      resolve(child.pid ?? -1);
    });
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const daemon: Daemon = {
    name,
    pid,
    logFile,
    ended,
    async stop() {
      if (hasEnded()) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
  if (isReady === undefined) return daemon;
  try {
    await waitUntil(
      `${name} to be ready`,
      async () => {
        if (hasEnded()) throw new NoUseWaitingError(`${name} ended: ${await lastLines(logFile)}`);
        return await isReady();
      },
      { timeoutMs: readyTimeoutMs, intervalMs: 25 },
    );
  } catch (error: unknown) {
    child.kill("SIGKILL");
    await ended;
    throw new Error(`${name} did not start:\n${await lastLines(logFile)}`, { cause: error });
  }
  return daemon;
}

async function lastLines(file: string): Promise<string> {
  return (await readFile(file, "utf8")).trimEnd().split("\n").slice(-15).join("\n");
}
