import { randomInt } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

/**
 * A /24 of the loopback range that belongs to one cluster. Linux routes all of 127.0.0.0/8 to the loopback device, so
 * that a cluster gets 254 addresses without adding one, without root, and without looking for free ports.
 *
 *   .2 to .9     the parts of the control plane
 *   .10 to .31   the node, its registries, and what tests put there
 *   .32 to .127  pods
 *   .128/25      services; whoever serves a service listens on its cluster IP
 */
export interface ClusterNetwork {
  /** Everything the cluster writes is in here. */
  readonly directory: string;
  /** A name that no other cluster of this machine has. */
  readonly name: string;
  readonly serviceRange: string;
  address(lastByte: number): string;
}

const ATTEMPTS = 100;

/** Takes a free network; making its directory is what takes it, because only one process can make it. */
export async function claimNetwork(): Promise<ClusterNetwork> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    // 127.64.0.0/10: far from 127.0.0.1, where everybody's servers are, and from 127.0.0.53, a resolver.
    // Where the process has a network of its own, they are addresses that can be routed.
    const prefix = [IS_ROUTED ? 10 : 127, randomInt(64, 128), randomInt(0, 256)] as const;
    const name = `pullpass-${prefix.join("-")}`;
    const directory = join(tmpdir(), name);
    try {
      await mkdir(directory, { mode: 0o755 });
    } catch (error: unknown) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") continue;
      throw error;
    }
    const address = (lastByte: number) => [...prefix, lastByte].join(".");
    if (IS_ROUTED) await addOwnAddresses(address);
    await assertOwnAddresses(address(2));
    return { directory, name, serviceRange: `${address(128)}/25`, address };
  }
  throw new Error(`no free cluster directory in ${tmpdir()} after ${String(ATTEMPTS)} tries`);
}

/** Says in one line why nothing would work on a machine that does not route all of 127.0.0.0/8 to itself. */
async function assertOwnAddresses(host: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, host, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}
