import { join } from "node:path";
import { buildGoTool } from "./build-go-tool.ts";
import { reportToStandardError, type Cluster } from "./cluster.ts";
import { runCommand, type CommandOutput } from "./run-command.ts";
import { HELM } from "./tools.ts";

export interface Helm {
  /** Runs helm; fails with a `CommandError` that holds what it printed. */
  run(...args: readonly string[]): Promise<CommandOutput>;
}

export const CHART_DIRECTORY = join(import.meta.dirname, "..", "..", "..", "deploy", "pullpass");

/** Helm on a cluster, or without one for what needs none. It keeps nothing outside of the cluster's directory. */
export async function createHelm(
  cluster?: Pick<Cluster, "kubeconfig" | "network">,
  report = reportToStandardError,
): Promise<Helm> {
  const program = join(await buildGoTool(HELM, report), "helm");
  const directory = cluster === undefined ? "/nonexistent" : join(cluster.network.directory, "helm");
  const env = {
    ...process.env,
    HELM_CACHE_HOME: join(directory, "cache"),
    HELM_CONFIG_HOME: join(directory, "config"),
    HELM_DATA_HOME: join(directory, "data"),
    KUBECONFIG: cluster?.kubeconfig ?? "/nonexistent",
  };
  return { run: (...args) => runCommand(program, args, { env }) };
}
