/** Runs the built program as its users do: `dist/main.js` under plain Node. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const MAIN = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: npm run build`);

export interface ProgramResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

export function runPullpass(args: readonly string[], directory: string, input = ""): ProgramResult {
  const { stdout, stderr, status } = spawnSync(process.execPath, [MAIN, ...args], {
    cwd: directory,
    input,
    // Whatever cluster the machine knows of is none of the test's.
    env: { ...process.env, HOME: "/nonexistent", KUBECONFIG: "", KUBERNETES_SERVICE_HOST: "" },
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return { stdout, stderr, status };
}
