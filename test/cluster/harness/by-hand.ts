/**
 * A cluster that stays until it is stopped: `npm run cluster:up [-- node]` and `npm run cluster:down`. A process of its own keeps
 * it, because the kernel ends a cluster's daemons with the process that started them.
 */
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterAvailability } from "./availability.ts";
import { startCluster, type OwnCluster } from "./cluster.ts";
import { REGISTRY_USER, startNodeCluster } from "./node-cluster.ts";
import { waitUntil } from "../../wait-until.ts";

/** In the cluster's directory: the process that keeps it. */
export const KEEPER_FILE = "keeper.pid";

type Level = "control-plane" | "node";

/** What the keeper reports to the process that started it. */
type KeeperMessage =
  | { readonly kind: "progress"; readonly line: string }
  | { readonly kind: "ready"; readonly kubeconfig: string; readonly lines: readonly string[] }
  | { readonly kind: "failed"; readonly message: string };

if (import.meta.main) {
  const [command, level = "control-plane"] = process.argv.slice(2);
  if (command === "down") await down();
  else if ((command === "up" || command === "keep") && (level === "control-plane" || level === "node"))
    await (command === "up" ? up(level) : keep(level));
  else {
    process.stderr.write("usage: npm run cluster:up [-- node], or npm run cluster:down\n");
    process.exitCode = 2;
  }
}

async function up(level: Level): Promise<void> {
  const availability = await clusterAvailability(level);
  if (!availability.available) {
    process.stderr.write(`${availability.reason}\n`);
    process.exitCode = 1;
    return;
  }
  // It must outlive this process and its terminal, hence detached, and hold none of its files open.
  const keeper = fork(import.meta.filename, ["keep", level], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  process.exitCode = 1;
  keeper.on("message", (message: KeeperMessage) => {
    if (message.kind === "progress") {
      process.stderr.write(`${message.line}\n`);
    } else if (message.kind === "failed") {
      process.stderr.write(`the cluster did not start: ${message.message}\n`);
    } else {
      process.exitCode = 0;
      const lines = [...message.lines, `export KUBECONFIG=${message.kubeconfig}`];
      process.stdout.write(`${lines.join("\n")}\n`);
    }
  });
  keeper.once("disconnect", () => {
    keeper.unref();
  });
}

/** Starts the cluster, and stops it when it gets SIGTERM. */
async function keep(level: Level): Promise<void> {
  const send = (message: KeeperMessage): void => {
    if (process.connected) process.send?.(message);
  };
  const stop = async (cluster: OwnCluster): Promise<void> => {
    await cluster.stop();
    process.exit(0);
  };
  try {
    const { cluster, lines } = await start(level, (line) => {
      send({ kind: "progress", line });
    });
    process.on("SIGTERM", () => void stop(cluster));
    process.on("SIGINT", () => void stop(cluster));
    // Whoever started it gave up waiting, so that nobody would know of it.
    if (!process.connected) await stop(cluster);
    await writeFile(join(cluster.network.directory, KEEPER_FILE), String(process.pid));
    send({ kind: "ready", kubeconfig: cluster.kubeconfig, lines });
    process.disconnect?.();
    // A process that only has children would end.
    setInterval(() => undefined, 2 ** 30);
  } catch (error: unknown) {
    send({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
    if (process.connected) process.disconnect?.();
  }
}

/** The cluster, and what its user has to know besides the kubeconfig. */
async function start(
  level: Level,
  report: (line: string) => void,
): Promise<{ readonly cluster: OwnCluster; readonly lines: readonly string[] }> {
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

/** Stops every cluster that was started by hand. */
async function down(): Promise<void> {
  const keepers = await findKeepers();
  if (keepers.length === 0) process.stdout.write("no cluster was started by cluster:up\n");
  for (const { pid, directory } of keepers) {
    process.kill(pid, "SIGTERM");
    try {
      await waitUntil("the cluster to stop", async () => !(await isKeeper(pid)), { timeoutMs: 30_000 });
    } catch {
      // The kernel ends what it started, and its watchdog removes the rest.
      process.kill(pid, "SIGKILL");
    }
    await waitUntil(`${directory} to be removed`, () => !existsSync(directory), { timeoutMs: 15_000 });
    process.stdout.write(`stopped ${directory}\n`);
  }
}

async function findKeepers(): Promise<readonly { readonly pid: number; readonly directory: string }[]> {
  const keepers: { pid: number; directory: string }[] = [];
  for (const name of await readdir(tmpdir())) {
    const directory = join(tmpdir(), name);
    if (!name.startsWith("pullpass-127-") || !existsSync(join(directory, KEEPER_FILE))) continue;
    const pid = Number(await readFile(join(directory, KEEPER_FILE), "utf8"));
    if (await isKeeper(pid)) keepers.push({ pid, directory });
  }
  return keepers;
}

/** A number may meanwhile be that of another process, which must not be ended. */
async function isKeeper(pid: number): Promise<boolean> {
  try {
    return /\b(by-hand|demo)\.ts\b/.test(await readFile(`/proc/${String(pid)}/cmdline`, "utf8"));
  } catch {
    return false;
  }
}
