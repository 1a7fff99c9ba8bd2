/** `pullpass purge`: removes what Pullpass wrote to a cluster. */
import type { Command } from "commander";
import { MANAGED_BY_LABEL, MANAGER } from "../core/labels.ts";
import { count } from "./count.ts";
import { UsageError, type ProgramIo } from "./program-io.ts";

interface PurgeFlags {
  readonly yes?: true;
  readonly kubeconfig?: string;
  readonly namespace?: string;
  readonly webhookName: string;
}

export function purgeCommand(command: Command, io: ProgramIo): Command {
  return command
    .description("remove what Pullpass wrote to a cluster, once it is uninstalled")
    .option("--yes", "without this nothing is removed")
    .option("--kubeconfig <file>", "how the API server is reached; default: as for serve")
    .option(
      "--namespace <name>",
      "where Pullpass ran; default: wherever its certificates and its Lease are found",
    )
    .option("--webhook-name <name>", "the MutatingWebhookConfiguration", "pullpass")
    .action(async ({ yes, kubeconfig, namespace, webhookName }: PurgeFlags) => {
      if (yes !== true) {
        throw new UsageError(
          "purge removes the webhook, every copy and what was added to ServiceAccounts, in the whole cluster: add --yes",
        );
      }
      // Loaded only here: the other commands need no cluster.
      const { withTransport } = await import("./connect.ts");
      const { purgeCluster } = await import("./purge-cluster.ts");
      const names = { namespace, webhook: webhookName, lease: MANAGER };
      const { copies, accounts, left } = await withTransport(kubeconfig, io.environment, (transport) =>
        purgeCluster(transport, names),
      );
      io.writeOut(
        `removed ${count(copies, "copy", "copies")}, and took pull secrets off ${count(accounts, "ServiceAccount")}\n`,
      );
      if (left.length > 0) io.writeError(describeLeft(left));
    });
}

const MAX_NAMED = 10;

function describeLeft(left: readonly string[]): string {
  const names = left.slice(0, MAX_NAMED).join(", ");
  const more = left.length > MAX_NAMED ? `, and ${(left.length - MAX_NAMED).toString()} more` : "";
  return `left alone, because Pullpass did not write them, although they have the label ${MANAGED_BY_LABEL}=${MANAGER}: ${names}${more}\n`;
}
