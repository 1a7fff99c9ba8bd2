// npm run cluster:up [-- node]: starts a cluster that stays until npm run cluster:down.
import { fork } from "node:child_process";
import { join } from "node:path";
import { clusterAvailability } from "./availability.ts";
import type { KeeperMessage } from "./keeper.ts";

const level = process.argv[2] ?? "control-plane";
if (level !== "control-plane" && level !== "node") {
  process.stderr.write(`usage: npm run cluster:up [-- node]; there is no level ${level}\n`);
  process.exit(2);
}
const availability = await clusterAvailability(level);
if (!availability.available) {
  process.stderr.write(`${availability.reason}\n`);
  process.exit(1);
}

// It must outlive this process and its terminal, hence detached, and hold none of its files open.
const keeper = fork(join(import.meta.dirname, "keep.ts"), [level], {
  detached: true,
  stdio: ["ignore", "ignore", "ignore", "ipc"],
});
let isReady = false;
keeper.on("message", (message: KeeperMessage) => {
  if (message.kind === "progress") {
    process.stderr.write(`${message.line}\n`);
  } else if (message.kind === "failed") {
    process.stderr.write(`the cluster did not start: ${message.message}\n`);
  } else {
    isReady = true;
    const lines = [...message.lines, `export KUBECONFIG=${message.kubeconfig}`];
    process.stdout.write(`${lines.join("\n")}\n`);
  }
});
keeper.once("disconnect", () => {
  keeper.unref();
  process.exitCode = isReady ? 0 : 1;
});
