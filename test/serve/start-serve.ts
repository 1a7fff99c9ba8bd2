/** Starts `pullpass serve`, the built program, and shows what it says while it runs. */
import { spawn, type ChildProcess } from "node:child_process";
import { waitUntil } from "../wait-until.ts";
import { MAIN } from "../cli/run-pullpass.ts";

export interface ServeProcess {
  readonly child: ChildProcess;
  /** Its log so far. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** Waits for a line of the log with that message. */
  readonly logged: (message: string) => Promise<Readonly<Record<string, unknown>>>;
  readonly exit: Promise<ServeExit>;
}

export interface ServeExit {
  /** Null if a signal ended it. */
  readonly status: number | null;
  readonly stderr: string;
}

export function startServe(flags: readonly string[]): ServeProcess {
  const ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
  const child = spawn(process.execPath, [MAIN, "serve", ...ports, ...flags], {
    stdio: ["ignore", "pipe", "pipe"],
    // Whatever cluster the machine knows of is none of the test's.
    env: { ...process.env, HOME: "/nonexistent", KUBECONFIG: "", KUBERNETES_SERVICE_HOST: "" },
  });
  const lines: Record<string, unknown>[] = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts.map((line) => JSON.parse(line) as Record<string, unknown>));
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
  const exit = new Promise<ServeExit>((resolve) =>
    child.once("close", (status) => {
      resolve({ status, stderr });
    }),
  );
  const logged: ServeProcess["logged"] = (message) =>
    waitUntil(`"${message}" in the log`, () => lines.find(({ msg }) => msg === message));
  return { child, lines, logged, exit };
}
