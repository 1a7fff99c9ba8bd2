/** `pullpass policy`: a configuration as a MutatingAdmissionPolicy with its binding, for a cluster without the webhook. */
import type { Command } from "commander";
import type { Configuration } from "../config/configuration.ts";
import {
  OTHER_EXCLUDED_NAMESPACE,
  POLICY_KUBERNETES_VERSION,
  renderAdmissionPolicy,
} from "../core/admission-policy.ts";
import { listBuilders } from "../core/builds/builders.ts";
import { ReportedError, type ProgramIo } from "./program-io.ts";
import { writeYaml } from "./registries-export.ts";
import { readRegistries, requireRegistries, type RegistryFlags } from "./registries-source.ts";

interface PolicyFlags extends RegistryFlags {
  readonly strict?: true;
  readonly namespace?: string;
  readonly excludeNamespace?: readonly string[];
}

/** Adds the flags and the action, but for `--config`. */
export function policyCommand(command: Command, io: ProgramIo): Command {
  return command
    .description(
      "write a configuration as a MutatingAdmissionPolicy, which gives pods their pull secrets without the webhook",
    )
    .option("--from-cluster", "read ClusterRegistries from the cluster, beside those of --config")
    .option("--kubeconfig <file>", "with --from-cluster: this cluster; default: as for serve")
    .option("--strict", "exit with 3 if the configuration asks for what a policy cannot do")
    .option(
      "--namespace <name>",
      "where Pullpass runs: pods there are left alone, as in kube-system; default: as for serve",
    )
    .option(
      "--exclude-namespace <name>",
      "leave the pods of this namespace alone, too; again for more",
      (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
    )
    .action(async (flags: PolicyFlags) => {
      requireRegistries(command, flags);
      const configuration = await readRegistries(flags, io);
      // Loaded only here: the other commands need no cluster.
      const { ownNamespace } = await import("./connect.ts");
      const { name: namespace } = ownNamespace(flags, io.environment, { namespace: undefined });
      const { excludeNamespace = [] } = flags;
      const { policy, binding } = renderAdmissionPolicy(configuration.registries, {
        excludedNamespaces: [...new Set([OTHER_EXCLUDED_NAMESPACE, namespace, ...excludeNamespace])],
      });
      io.writeOut(HEADER + writeYaml([policy, binding]));
      const asked = leftOutOf(configuration);
      io.writeError([...asked, ...ALWAYS_LEFT_OUT].map((line) => `not in the policy: ${line}\n`).join(""));
      if (flags.strict === true && asked.length > 0) throw new ReportedError(3);
    });
}

const HEADER = `# Written by pullpass policy. It needs Kubernetes ${POLICY_KUBERNETES_VERSION} or later, and may be too long for kubectl apply without --server-side.
`;

/** What the webhook does for every configuration. */
const ALWAYS_LEFT_OUT: readonly string[] = [
  "kubernetes.io/enforce-mountable-secrets on ServiceAccounts; a policy cannot read them, and pods that may not name a pull secret are refused",
  "warnings to whoever creates a pod, about images that are no references and registries that do not exist",
  "metrics and log lines about pods",
];

/** What the configuration asks for, and a policy cannot do. */
function leftOutOf({ registries, builders }: Configuration): readonly string[] {
  const forBuilds = registries.filter(({ buildSource }) => buildSource !== undefined).map(({ name }) => name);
  if (forBuilds.length === 0) return [];
  const names = listBuilders(builders).map(({ name }) => name);
  return [
    `credentials inside of builders: ${names.join(", ")} and containers that an annotation names cannot push with ${forBuilds.join(", ")}`,
  ];
}
