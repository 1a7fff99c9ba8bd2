// The process that keeps a cluster which was started by hand; up.ts starts it and down.ts ends it.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type Cluster } from "./cluster.ts";
import type { KeeperMessage } from "./keeper.ts";
import { KEEPER_FILE } from "./keeper.ts";
import { REGISTRY_USER, startNodeCluster } from "./node-cluster.ts";

const level = process.argv[2] === "node" ? "node" : "control-plane";

function tell(message: KeeperMessage): void {
  if (process.connected) process.send?.(message);
}

function report(line: string): void {
  tell({ kind: "progress", line });
}

async function start(): Promise<{ readonly cluster: Cluster; readonly lines: readonly string[] }> {
  if (level === "control-plane") return { cluster: await startCluster({ report }), lines: [] };
  const cluster = await startNodeCluster({ report });
  const user = `user ${REGISTRY_USER.username}, password ${REGISTRY_USER.password}`;
  const lines = [
    `registry with a password: ${cluster.passwordRegistry.host}, ${user}`,
    `registry with tokens, also docker.io: ${cluster.tokenRegistry.host}, the same user`,
    `certificate authority of both: ${cluster.passwordRegistry.authorityFile}`,
  ];
  return { cluster, lines };
}

async function stop(cluster: Cluster): Promise<void> {
  await cluster.stop();
  process.exit(0);
}

try {
  const { cluster, lines } = await start();
  process.on("SIGTERM", () => void stop(cluster));
  process.on("SIGINT", () => void stop(cluster));
  // Who started it gave up waiting, so that nobody would know of it.
  if (!process.connected) await stop(cluster);
  await writeFile(join(cluster.network.directory, KEEPER_FILE), String(process.pid));
  tell({ kind: "ready", kubeconfig: cluster.kubeconfig, lines });
  process.disconnect?.();
  // A process that only has children would end.
  setInterval(() => undefined, 2 ** 30);
} catch (error: unknown) {
  tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
  if (process.connected) process.disconnect?.();
}
