import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { ClusterLevel } from "./availability.ts";

export interface ClusterInChild {
  /** Of the cluster. */
  readonly name: string;
  /** Sends a signal to the child's whole process group, as a terminal does, and waits until the child has ended. */
  signal(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a cluster in another process, so that this process can see what is left when that one is killed. */
export async function startInChild(level: ClusterLevel): Promise<ClusterInChild> {
  const module = level === "node" ? "node-cluster.ts" : "cluster.ts";
  const start = level === "node" ? "startNodeCluster" : "startCluster";
  // A module of its own that is not written to disk; nothing in it handles signals.
  const script = `const { ${start} } = await import(${JSON.stringify(join(import.meta.dirname, module))});
    const { network } = await ${start}();
    console.log(network.name);
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: join(import.meta.dirname, "..", "..", ".."),
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const started = await Promise.race([once(child.stdout, "data"), ended.then(() => undefined)]);
  if (started === undefined) throw new Error(`the child that should have started a cluster ended`);
  return {
    name: String(started[0]).trim(),
    async signal(signal) {
      process.kill(-(child.pid ?? NaN), signal);
      await ended;
    },
  };
}
