import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** Debian keeps daemons in sbin directories, which are not on every user's PATH. */
const SYSTEM_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The path of an installed program, or `undefined` where there is none. */
export async function findExecutable(name: string): Promise<string | undefined> {
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), ...SYSTEM_DIRECTORIES];
  for (const directory of directories) {
    const path = join(directory, name);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export class CommandError extends Error {
  override readonly name = "CommandError";

  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;

  constructor(command: string, exitCode: number | null, { stdout, stderr }: CommandOutput) {
    super(`${command} ended with ${String(exitCode)}: ${(stderr.trim() || stdout.trim()).slice(-4000)}`);
    this.exitCode = exitCode;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Called with every line of standard error as it comes, for commands that report progress there. */
  readonly onErrorLine?: (line: string) => void;
}

/** Runs a command to its end and returns what it printed; an exit status other than 0 is a `CommandError`. */
export async function runCommand(
  command: string,
  args: readonly string[],
  { cwd, env, input, onErrorLine }: CommandOptions = {},
): Promise<CommandOutput> {
  const child = spawn(command, args, { cwd, env: env ?? process.env, stdio: ["pipe", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  let unfinishedLine = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
    if (onErrorLine === undefined) return;
    const lines = (unfinishedLine + chunk).split("\n");
    unfinishedLine = lines.pop() ?? "";
    for (const line of lines) onErrorLine(line);
  });
  // A command that ends before it has read its input says so with its exit status.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input ?? "");
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  if (exitCode !== 0) {
    throw new CommandError([command, ...args].join(" "), exitCode, { stdout, stderr });
  }
  return { stdout, stderr };
}

/** What the API server refused a request of kubectl with; undefined if it did not. */
export async function refusal(request: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await request();
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error.stderr;
    throw error;
  }
}
