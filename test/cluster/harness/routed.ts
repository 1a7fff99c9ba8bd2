import { runCommand } from "./run-command.ts";

/**
 * True where the process has a network namespace of its own, in which it may add addresses, routes and rules: pods then
 * have addresses at which they are reached, and kube-proxy routes Services to them. `node-chart.test.ts` makes it.
 */
export const IS_ROUTED = process.env["PULLPASS_ROUTED"] === "1";

/** Gives the machine's addresses and those of Services to the loopback device; what is left is for pods. */
export async function addOwnAddresses(address: (lastByte: number) => string): Promise<void> {
  await runCommand("ip", ["address", "add", `${address(0)}/27`, "dev", "lo"]);
  await runCommand("ip", ["address", "add", `${address(128)}/25`, "dev", "lo"]);
}
