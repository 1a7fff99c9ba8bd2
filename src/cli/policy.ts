/** `pullpass policy`: a configuration as a MutatingAdmissionPolicy with its binding, for a cluster without the webhook. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Configuration } from "../config/configuration.ts";
import {
  OTHER_EXCLUDED_NAMESPACE,
  POLICY_KUBERNETES_VERSION,
  POLICY_NAME,
  renderAdmissionPolicy,
  type AdmissionPolicy,
} from "../core/admission-policy/render.ts";
import { listBuilders } from "../core/builds/builders.ts";
import { enforcesMountableSecrets } from "../core/labels.ts";
import { ReportedError, type ProgramIo } from "./program-io.ts";
import { writeYaml } from "./registries-export.ts";
import { readRegistries, requireRegistries, type RegistryFlags } from "./registries-source.ts";

interface PolicyFlags extends RegistryFlags {
  readonly strict?: true;
  readonly apply?: true;
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
    .option(
      "--apply",
      "write the policy that serve --mode=policy keeps to the cluster, instead of printing one",
    )
    .action(async (flags: PolicyFlags) => {
      requireRegistries(command, flags);
      const configuration = await readRegistries(flags, io);
      // Loaded only here: the other commands need no cluster.
      const { ownNamespace } = await import("./connect.ts");
      const { name: namespace } = ownNamespace(flags, io.environment);
      const { excludeNamespace = [], apply } = flags;
      const policy = renderAdmissionPolicy(configuration.registries, {
        name: apply === true ? POLICY_NAME : PRINTED_NAME,
        excludedNamespaces: [...new Set([OTHER_EXCLUDED_NAMESPACE, namespace, ...excludeNamespace])],
        excludedAccounts: flags.fromCluster === true ? await readEnforcingAccounts(flags, io) : [],
      });
      if (apply === true) await applyPolicy(policy, flags, io);
      else io.writeOut(HEADER + writeYaml([policy.policy, policy.binding]));
      const asked = leftOutOf(configuration);
      io.writeError([...asked, ...ALWAYS_LEFT_OUT].map((line) => `not in the policy: ${line}\n`).join(""));
      if (flags.strict === true && asked.length > 0) throw new ReportedError(3);
    });
}

/** `namespace/name` of the ServiceAccounts whose pods may only name the Secrets that they list. */
async function readEnforcingAccounts(
  { kubeconfig }: PolicyFlags,
  { environment }: ProgramIo,
): Promise<readonly string[]> {
  const { withTransport } = await import("./connect.ts");
  const { listObjects } = await import("../kube/list.ts");
  const { readMetadata } = await import("../kube/resources/metadata.ts");
  const collection = { path: "/api/v1/serviceaccounts", metadataOnly: true };
  return withTransport(kubeconfig, environment, (transport) =>
    listObjects(transport, collection, (object) => {
      const { namespace, name, annotations } = readMetadata(object);
      return enforcesMountableSecrets(annotations) ? `${namespace}/${name}` : undefined;
    }),
  );
}

/** Until every API server goes by it. */
const IN_FORCE_MS = 5_000;

async function applyPolicy(
  policy: AdmissionPolicy,
  { kubeconfig }: PolicyFlags,
  { environment, ...io }: ProgramIo,
): Promise<void> {
  const { withTransport } = await import("./connect.ts");
  const { createApis } = await import("../kube/api.ts");
  const { createPolicyWriter } = await import("../kube/resources/admission-policies.ts");
  const outcome = await withTransport(kubeconfig, environment, (transport) =>
    createPolicyWriter(createApis(transport)).apply(policy),
  );
  if (outcome === "not-served")
    throw new Error(
      `the API server has no MutatingAdmissionPolicies: they need Kubernetes ${POLICY_KUBERNETES_VERSION} or later`,
    );
  await sleep(IN_FORCE_MS);
  io.writeOut(`MutatingAdmissionPolicy ${POLICY_NAME} is in force\n`);
}

/** Not that of the one that `serve` keeps, which it would otherwise change or remove. */
const PRINTED_NAME = "pullpass-pull-secrets";

const HEADER = `# Written by pullpass policy. It needs Kubernetes ${POLICY_KUBERNETES_VERSION} or later, and may be too long for kubectl apply without --server-side.
`;

/** What the webhook does for every configuration. */
const ALWAYS_LEFT_OUT: readonly string[] = [
  "the lists of ServiceAccounts with kubernetes.io/enforce-mountable-secrets: with --from-cluster their pods are left alone; without, those that lack a pull secret are refused",
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
