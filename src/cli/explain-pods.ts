/** `pullpass explain --pod`: what the pods of a manifest get, why, and under which conditions. */
import { getString } from "../core/kubernetes.ts";
import type { Mode } from "../core/mode.ts";
import type { RegistryIndex } from "../core/registry.ts";
import { KubeApiError } from "../kube/errors.ts";
import type { PodReader } from "../kube/resources/pods.ts";
import { namespaceLabels } from "../manifest/decide-pod-template.ts";
import { explainPodTemplate, type PodSurroundings } from "../manifest/explain-pod-template.ts";
import type { PodTemplateKinds } from "../manifest/pod-template-kinds.ts";
import { podTemplatesIn } from "../manifest/pod-templates.ts";

/** A block of lines for people for each pod and template, in the order of the documents. */
export async function explainPods(
  documents: readonly { readonly value: unknown }[],
  index: RegistryIndex,
  find: FindSurroundings,
  kinds?: PodTemplateKinds,
  mode: Mode = "webhook",
): Promise<readonly string[]> {
  const blocks: string[] = [];
  for (const template of documents.flatMap(({ value }) => podTemplatesIn(value, kinds))) {
    const account = getString(template.value["spec"], "serviceAccountName") ?? "default";
    const surroundings = await find(template.namespace, account);
    blocks.push(explainPodTemplate(template, index, surroundings, mode).join("\n"));
  }
  return blocks;
}

export type FindSurroundings = (
  namespace: string | undefined,
  serviceAccount: string,
) => Promise<PodSurroundings>;

export interface ClusterAccess {
  readonly reader: PodReader;
  /** Where manifests belong that name no namespace. */
  readonly defaultNamespace: string;
}

/**
 * Without a cluster only the Namespaces among the documents count. With one, such a Namespace adds its labels to those that
 * it has in the cluster, as applying it will.
 */
export function surroundingsIn(
  documents: readonly { readonly value: unknown }[],
  cluster: ClusterAccess | undefined,
): FindSurroundings {
  const labelsOf = namespaceLabels(documents);
  if (cluster === undefined) {
    return (namespace) =>
      Promise.resolve({ namespaceLabels: labelsOf(namespace), serviceAccount: undefined, unread: [] });
  }
  const { reader, defaultNamespace } = cluster;
  const readLabels = once((namespace) => reader.namespaceLabels(namespace));
  const readAccount = once((namespace, name) => reader.serviceAccount(namespace, name));
  return async (namespace = defaultNamespace, accountName) => {
    const inManifests = labelsOf(namespace);
    const inCluster = await readLabels(namespace);
    const account = await readAccount(namespace, accountName);
    const isUnknown = inManifests === "unknown" && inCluster.value === undefined;
    return {
      namespaceLabels: isUnknown
        ? "unknown"
        : { ...inCluster.value, ...(inManifests === "unknown" ? {} : inManifests) },
      serviceAccount: account.value,
      unread: [inCluster, account].flatMap(({ refusal }) => refusal ?? []),
    };
  };
}

/** One of the two is there. */
interface Reading<T> {
  readonly value?: T;
  readonly refusal?: string;
}

/** Reads each object once. One that cannot be read is a line in the report; without an answer there is no report. */
function once<Names extends readonly string[], T>(
  read: (...names: Names) => Promise<T>,
): (...names: Names) => Promise<Reading<T>> {
  const readings = new Map<string, Promise<Reading<T>>>();
  const readOnce = async (names: Names): Promise<Reading<T>> => {
    try {
      return { value: await read(...names) };
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      return { refusal: error.message };
    }
  };
  return (...names) => {
    const key = names.join("/");
    const reading = readings.get(key) ?? readOnce(names);
    readings.set(key, reading);
    return reading;
  };
}
