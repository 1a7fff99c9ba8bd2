/** `pullpass doctor`: the webhook, the registries, the copies and the stuck pods of a cluster, and what to do about them. */
import { Option, type Command } from "commander";
import type { ConfiguredRegistry } from "../config/configuration.ts";
import { readConfiguration } from "../config/read.ts";
import { quote } from "../core/quote.ts";
import type { DoctorRequest } from "./doctor-read.ts";
import { isNoObjectName } from "./explain.ts";
import { ReportedError, type ProgramIo } from "./program-io.ts";
import { readAllCredentials } from "./registries-source.ts";

interface DoctorFlags {
  readonly config?: readonly string[];
  readonly kubeconfig?: string;
  readonly namespace?: string;
  readonly pullpassNamespace?: string;
  readonly webhookName: string;
  readonly askRegistry?: true;
  readonly json?: true;
}

/** Adds the argument, the flags and the action, but for `--config`. */
export function doctorCommand(command: Command, io: ProgramIo): Command {
  return (
    command
      .description("say what is wrong in a cluster: webhook, registries, copies, and pods that cannot pull")
      .argument("[pod]", "this pod alone")
      .option(
        "-n, --namespace <name>",
        "this namespace alone; of a pod, default: the one of the kubeconfig's context",
      )
      .option("--ask-registry", "ask registries whether the credentials may pull what pods wait for")
      .option("--json", "one JSON object")
      .option("--kubeconfig <file>", "the cluster; default: as for serve")
      .option(
        "--pullpass-namespace <name>",
        "where Pullpass runs; default: where its webhook's Service is, or as for serve",
      )
      .option("--webhook-name <name>", "the MutatingWebhookConfiguration", "pullpass")
      // As of the other commands. This one reads ClusterRegistries anyway.
      .addOption(new Option("--from-cluster").hideHelp())
      .action(async (pod: string | undefined, flags: DoctorFlags) => {
        const wrong = [pod, flags.namespace].find((name) => name !== undefined && isNoObjectName(name));
        if (wrong !== undefined) command.error(`error: ${quote(wrong)} is not the name of an object`);
        const { config = [], kubeconfig, pullpassNamespace, webhookName, askRegistry } = flags;
        // Loaded only here: the other commands need no cluster.
        const { ownNamespace, withTransport } = await import("./connect.ts");
        const { RegistryQuestions } = await import("./doctor-ask.ts");
        const { readFacts } = await import("./doctor-read.ts");
        const { reportOn } = await import("./doctor-report.ts");
        const { formatReport } = await import("./doctor-text.ts");
        const facts = await withTransport(kubeconfig, io.environment, (transport, connection) => {
          const contextNamespace = pod === undefined ? undefined : (connection.namespace ?? "default");
          const own = ownNamespace({ namespace: pullpassNamespace, kubeconfig }, io.environment, connection);
          const createQuestions: DoctorRequest["createQuestions"] = (known, serviceNamespace) => {
            const secrets = { ...flags, namespace: pullpassNamespace ?? serviceNamespace ?? own.name };
            const readCredentials = (registry: ConfiguredRegistry) =>
              readAllCredentials([registry], secrets, io);
            return new RegistryQuestions({ transport, known, readCredentials });
          };
          const scope = { pod, namespace: flags.namespace ?? contextNamespace };
          const request = { scope, webhookName, configuration: readConfiguration(config) };
          return readFacts(transport, {
            ...request,
            createQuestions: askRegistry === true ? createQuestions : undefined,
          });
        });
        const report = reportOn(facts);
        io.writeOut(flags.json === true ? `${JSON.stringify(report)}\n` : formatReport(report));
        if (!report.healthy) throw new ReportedError(1);
      })
  );
}
