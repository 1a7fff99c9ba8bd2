/** `pullpass explain`: which registry an image needs, or what pods get, and why. */
import { Option, type Command } from "commander";
import { indexConfiguration, type Configuration } from "../config/configuration.ts";
import { readConfiguration } from "../config/read.ts";
import { explainImage, explanationJson, explanationText, type Explanation } from "../core/explain-image.ts";
import { quote } from "../core/quote.ts";
import type { RegistryIndex } from "../core/registry.ts";
import type { Mode } from "../core/mode.ts";
import { KubeApiError } from "../kube/errors.ts";
import type { ReadMode } from "../kube/resources/mode.ts";
import { mayHoldPodTemplate, parseManifests, requireReadable } from "../manifest/parse-manifests.ts";
import { indexPodTemplateKinds, type PodTemplateKinds } from "../manifest/pod-template-kinds.ts";
import { explainPods, surroundingsIn, type ClusterAccess } from "./explain-pods.ts";
import { readLines, readManifests, ReportedError, type ProgramIo } from "./program-io.ts";
import { readRegistries, requireRegistries, type RegistryFlags } from "./registries-source.ts";

interface ExplainFlags extends RegistryFlags {
  readonly json?: true;
  readonly pod?: readonly string[];
  readonly namespace?: string;
  readonly mode?: Mode;
}

/** Adds the arguments, the flags and the action, without `--config`. */
export function explainCommand(command: Command, io: ProgramIo): Command {
  return command
    .description("show which registry an image needs, or what pods get, and why")
    .argument("[image...]", "images as in a pod; - reads one a line from standard input")
    .option("--json", "one JSON object a line, for images")
    .option(
      "--pod <file>",
      "manifests instead of images, YAML or JSON; again for more; - is standard input; with --namespace, the name of a pod in the cluster",
      (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
    )
    .option("-n, --namespace <name>", "with --pod: read the pod from this namespace of the cluster")
    .addOption(
      new Option(
        "--mode <mode>",
        "with --pod: as serve's --mode; default: what the cluster has, or the webhook",
      ).choices(["webhook", "policy", "policy+webhook"] satisfies readonly Mode[]),
    )
    .option(
      "--from-cluster",
      "read ClusterRegistries from the cluster, beside those of --config; with --pod namespaces and service accounts, too",
    )
    .option(
      "--kubeconfig <file>",
      "with --from-cluster: this cluster; with --pod: read namespaces and service accounts from it; default: as for serve",
    )
    .action(async (images: readonly string[], flags: ExplainFlags) => {
      const error = usageErrorIn(images, flags);
      if (error !== undefined) command.error(`error: ${error}`);
      requireRegistries(command, flags);
      const { json, pod, namespace, kubeconfig } = flags;
      const configuration = await readForExplain(flags, io);
      const index = indexConfiguration(configuration, true);
      if (pod === undefined) {
        const explanations = await explainArguments(images, index, io);
        const write = json === true ? explanationJson : explanationText;
        io.writeOut(explanations.map((explanation) => `${write(explanation)}\n`).join(""));
        if (explanations.some(({ reference }) => reference === undefined)) throw new ReportedError(1);
        return;
      }
      const kinds = indexPodTemplateKinds(configuration.podTemplates);
      const explain = async (cluster?: ExplainedCluster): Promise<readonly string[]> => {
        const mode = flags.mode ?? (await modeOf(cluster, io));
        if (namespace === undefined || cluster === undefined)
          return explainManifests(pod, { index, kinds, mode }, io, cluster);
        return explainPodsOf(namespace, pod, { index, mode }, cluster);
      };
      const lines = usesCluster(flags) ? await withCluster(kubeconfig, io, explain) : await explain();
      io.writeOut(lines.map((line) => `${line}\n`).join(""));
    });
}

/** Without the right to list ClusterRegistries, pods are explained by the file alone. */
async function readForExplain(flags: ExplainFlags, io: ProgramIo): Promise<Configuration> {
  const { config, pod } = flags;
  try {
    return await readRegistries(flags, io);
  } catch (error) {
    if (pod === undefined || config === undefined || !(error instanceof KubeApiError)) throw error;
    io.writeError(`warning: the ClusterRegistries of the cluster are not considered: ${error.message}\n`);
    return readConfiguration(config);
  }
}

function usesCluster({ namespace, kubeconfig, fromCluster }: ExplainFlags): boolean {
  return namespace !== undefined || kubeconfig !== undefined || fromCluster === true;
}

function usageErrorIn(images: readonly string[], flags: ExplainFlags): string | undefined {
  const { json, pod, namespace, fromCluster, kubeconfig, mode } = flags;
  if (pod === undefined) {
    if (mode !== undefined) return "--mode needs --pod";
    if (images.length === 0) return "missing required argument 'image'";
    if (namespace !== undefined) return "--namespace needs --pod";
    const isUnused = kubeconfig !== undefined && fromCluster !== true;
    return isUnused ? "--kubeconfig needs --from-cluster or --pod" : undefined;
  }
  if (images.length > 0 || json === true) return "--pod takes no images and has no --json";
  const wrong = namespace === undefined ? undefined : [...pod, namespace].find(isNoObjectName);
  return wrong === undefined
    ? undefined
    : `with --namespace, --pod takes the name of a pod, not ${quote(wrong)}`;
}

/** Near enough to what the API server accepts: an empty name would read all pods. */
export function isNoObjectName(name: string): boolean {
  return !/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(name);
}

async function explainArguments(
  args: readonly string[],
  index: RegistryIndex,
  io: ProgramIo,
): Promise<readonly Explanation[]> {
  const piped = args.includes("-") ? await readLines(io) : [];
  const images = args.flatMap((arg) => (arg === "-" ? piped : [arg]));
  return images.map((image) => explainImage(image, index));
}

interface ExplainedCluster extends ClusterAccess {
  readonly readMode: () => Promise<ReadMode>;
}

/** That of the cluster; what was assumed is a warning, which --mode ends. */
async function modeOf(cluster: ExplainedCluster | undefined, io: ProgramIo): Promise<Mode | undefined> {
  const found = await cluster?.readMode();
  for (const note of found?.notes ?? []) io.writeError(`warning: ${note}\n`);
  return found?.mode;
}

/** What decides besides the pods. */
interface Known {
  readonly index: RegistryIndex;
  readonly mode: Mode | undefined;
}

async function explainManifests(
  files: readonly string[],
  { index, kinds, mode }: Known & { readonly kinds: PodTemplateKinds },
  io: ProgramIo,
  cluster: ClusterAccess | undefined,
): Promise<readonly string[]> {
  const read = await Promise.all(files.map((name) => readManifests(name, io)));
  const documents = read
    .flatMap(parseManifests)
    .filter((document) => document.fault === undefined || mayHoldPodTemplate(document, kinds))
    .map(requireReadable);
  return explainPods(documents, index, surroundingsIn(documents, cluster), kinds, mode);
}

async function explainPodsOf(
  namespace: string,
  names: readonly string[],
  { index, mode }: Known,
  cluster: ClusterAccess,
): Promise<readonly string[]> {
  const pods = await Promise.all(names.map((name) => cluster.reader.pod(namespace, name)));
  return explainPods(
    pods.map((value) => ({ value })),
    index,
    surroundingsIn([], cluster),
    undefined,
    mode,
  );
}

async function withCluster<T>(
  kubeconfig: string | undefined,
  { environment }: ProgramIo,
  use: (cluster: ExplainedCluster) => Promise<T>,
): Promise<T> {
  // Loaded only here: the rest of the command needs no cluster.
  const { withTransport } = await import("./connect.ts");
  const { createApis } = await import("../kube/api.ts");
  const { readMode } = await import("../kube/resources/mode.ts");
  const { createPodReader } = await import("../kube/resources/pods.ts");
  return withTransport(kubeconfig, environment, async (transport, { namespace = "default" }) => {
    const apisFor = createApis(transport);
    return use({
      reader: createPodReader(apisFor),
      defaultNamespace: namespace,
      readMode: () => readMode(apisFor),
    });
  });
}
