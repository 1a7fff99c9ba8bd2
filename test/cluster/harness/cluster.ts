import { cp } from "node:fs/promises";
import { join } from "node:path";
import { claimNetwork, type ClusterNetwork } from "./claim-network.ts";
import { startControlPlane, type ControlPlane, type OwnControlPlane } from "./control-plane.ts";
import { controlPlaneParts, requestedRelease } from "./parts.ts";
import { startOrUndo, startWatchdog, type Teardown } from "./teardown.ts";
import type { KubernetesRelease } from "./tools.ts";

export interface ClusterOptions {
  /** Default: what `PULLPASS_KUBERNETES` says, else the newest. */
  readonly release?: KubernetesRelease;
  readonly apiServerFlags?: readonly string[];
  /** Called with one line at a time about what takes long, such as a build. Default: standard error. */
  readonly report?: (line: string) => void;
}

/** A running cluster of the level "control plane": pods can be created, and nothing runs them. */
export interface Cluster extends ControlPlane {
  readonly network: ClusterNetwork;
}

/** One that is its owner's alone. `borrowCluster` costs less, where nobody has to break it. */
export interface OwnCluster extends Cluster, OwnControlPlane {
  /** Stops everything and leaves nothing behind. */
  stop(): Promise<void>;
}

export async function startCluster(options: ClusterOptions = {}): Promise<OwnCluster> {
  return startOrUndo(async (teardown) => ({
    ...(await startControlPlaneLevel(options, teardown)),
    stop: () => teardown.run(),
  }));
}

/** The part of a start that both levels share. */
export async function startControlPlaneLevel(
  { release = requestedRelease(), apiServerFlags = [], report = reportToStandardError }: ClusterOptions,
  teardown: Teardown,
): Promise<Omit<OwnCluster, "stop">> {
  const parts = await controlPlaneParts(release, report);
  const network = await claimNetwork();
  const watchdog = startWatchdog(network.directory, network.name);
  teardown.add(() => watchdog.release());
  teardown.add(() => keepLogs(network));
  return { ...(await startControlPlane(parts, network, apiServerFlags, teardown)), network };
}

/** Copies the logs of all daemons where `PULLPASS_CLUSTER_LOGS` says, because all else goes with the cluster. */
export async function keepLogs({ directory, name }: ClusterNetwork): Promise<void> {
  const target = process.env["PULLPASS_CLUSTER_LOGS"];
  if (target === undefined || target === "") return;
  await cp(join(directory, "log"), join(target, name), { recursive: true });
}

export function reportToStandardError(line: string): void {
  process.stderr.write(`${line}\n`);
}
