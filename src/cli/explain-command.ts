/** The flags of `pullpass explain`. */
import type { Command } from "commander";
import { readConfiguration } from "../config/read.ts";
import type { RegistryIndex } from "../core/registry.ts";
import { explainImage, explanationJson, explanationText, type Explanation } from "./explain.ts";
import { explainPods } from "./explain-pods.ts";
import { indexConfiguration } from "./index-configuration.ts";
import { mayHoldPodTemplate, parseManifests, requireReadable } from "../manifest/manifest-file.ts";
import { indexPodTemplateKinds, type PodTemplateKinds } from "../manifest/pod-template-kinds.ts";
import { surroundingsInCluster, surroundingsInManifests, type ClusterAccess } from "./pod-surroundings.ts";
import { ReportedError, UsageError, type ProgramIo } from "./program-io.ts";
import { readLines, readManifests } from "./read-input.ts";

interface ExplainFlags {
  readonly config: readonly string[];
  readonly json?: true;
  readonly pod?: readonly string[];
  readonly namespace?: string;
  readonly fromCluster?: true;
  readonly kubeconfig?: string;
}

/** A person waits, and asks for a few objects. */
const RATE = { concurrency: 8 };

/** Adds the flags and what they do, but for `--config`, which all commands have. */
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
    .option("--from-cluster", "with --pod: read namespaces and service accounts from the cluster")
    .option("--kubeconfig <file>", "with --pod: the same, from this cluster; default: as for serve")
    .action(async (images: readonly string[], flags: ExplainFlags) => {
      const error = usageErrorIn(images, flags);
      if (error !== undefined) command.error(`error: ${error}`);
      const { config, json, pod, namespace, kubeconfig } = flags;
      const configuration = readConfiguration(config);
      const index = indexConfiguration(configuration, true);
      if (pod === undefined) {
        const explanations = await explainImages(images, index, io);
        const write = json === true ? explanationJson : explanationText;
        io.writeOut(explanations.map((explanation) => `${write(explanation)}\n`).join(""));
        if (explanations.some(({ reference }) => reference === undefined)) throw new ReportedError(1);
        return;
      }
      const kinds = indexPodTemplateKinds(configuration.podTemplates);
      const explain = (cluster?: ClusterAccess): Promise<readonly string[]> => {
        if (namespace === undefined || cluster === undefined)
          return explainManifests(pod, { index, kinds }, io, cluster);
        return explainPodsOf(namespace, pod, index, cluster);
      };
      const lines = usesCluster(flags) ? await withCluster(kubeconfig, io, explain) : await explain();
      io.writeOut(lines.map((line) => `${line}\n`).join(""));
    });
}

function usesCluster({ namespace, kubeconfig, fromCluster }: ExplainFlags): boolean {
  return namespace !== undefined || kubeconfig !== undefined || fromCluster === true;
}

function usageErrorIn(images: readonly string[], flags: ExplainFlags): string | undefined {
  const { json, pod, namespace } = flags;
  if (pod === undefined) {
    if (images.length === 0) return "missing required argument 'image'";
    return usesCluster(flags) ? "--namespace, --from-cluster and --kubeconfig need --pod" : undefined;
  }
  if (images.length > 0 || json === true) return "--pod takes no images and has no --json";
  const wrong = namespace === undefined ? undefined : [...pod, namespace].find(isNoObjectName);
  return wrong === undefined
    ? undefined
    : `with --namespace, --pod takes the name of a pod, not ${JSON.stringify(wrong)}`;
}

/** Near enough to what the API server accepts: an empty name would read all pods. */
function isNoObjectName(name: string): boolean {
  return !/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(name);
}

async function explainImages(
  args: readonly string[],
  index: RegistryIndex,
  { readStdin }: ProgramIo,
): Promise<readonly Explanation[]> {
  const piped = args.includes("-") ? await readLines(readStdin) : [];
  const images = args.flatMap((arg) => (arg === "-" ? piped : [arg]));
  return images.map((image) => explainImage(image, index));
}

async function explainManifests(
  files: readonly string[],
  { index, kinds }: { readonly index: RegistryIndex; readonly kinds: PodTemplateKinds },
  { readStdin }: ProgramIo,
  cluster?: ClusterAccess,
): Promise<readonly string[]> {
  const read = await Promise.all(files.map((name) => readManifests(name, readStdin)));
  const documents = read
    .flatMap(parseManifests)
    .filter((document) => document.fault === undefined || mayHoldPodTemplate(document, kinds))
    .map(requireReadable);
  const find =
    cluster === undefined ? surroundingsInManifests(documents) : surroundingsInCluster(documents, cluster);
  return explainPods(documents, index, find, kinds);
}

async function explainPodsOf(
  namespace: string,
  names: readonly string[],
  index: RegistryIndex,
  cluster: ClusterAccess,
): Promise<readonly string[]> {
  const pods = await Promise.all(names.map((name) => cluster.reader.pod(namespace, name)));
  return explainPods(
    pods.map((value) => ({ value })),
    index,
    surroundingsInCluster([], cluster),
  );
}

/** Connects for as long as `use` takes. */
async function withCluster<T>(
  kubeconfig: string | undefined,
  { environment }: ProgramIo,
  use: (cluster: ClusterAccess) => Promise<T>,
): Promise<T> {
  // Loaded only here: the rest of the command needs no cluster.
  const { connect, NoApiServerError } = await import("./connect.ts");
  const { createApis } = await import("../kube/api.ts");
  const { createPodReader } = await import("../kube/resources/pods.ts");
  const { createRequestRate } = await import("../kube/request-rate.ts");
  const { createTransport } = await import("../kube/transport.ts");
  let connection;
  try {
    connection = connect(kubeconfig, environment);
  } catch (error) {
    if (error instanceof NoApiServerError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
  const transport = createTransport({ connection, rate: createRequestRate(RATE) });
  try {
    return await use({
      reader: createPodReader(createApis(transport)),
      defaultNamespace: connection.namespace ?? "default",
    });
  } finally {
    transport.close();
  }
}
