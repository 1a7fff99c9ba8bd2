// npm run cluster:down: stops every cluster that npm run cluster:up started.
import { existsSync } from "node:fs";
import { findKeepers, isKeeper } from "./keeper.ts";
import { waitUntil } from "./wait-until.ts";

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
