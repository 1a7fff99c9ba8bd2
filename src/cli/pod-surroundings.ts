/** Finds what a pod's admission depends on besides the pod itself: in the manifests at hand, and in a cluster. */
import type { ServiceAccountFacts } from "../core/kubernetes.ts";
import type { Labels } from "../core/labels.ts";
import { KubeApiError } from "../kube/errors.ts";
import type { PodReader } from "../kube/resources/pods.ts";
import { namespaceLabels } from "../manifest/decide-pod-template.ts";

export interface PodSurroundings {
  readonly namespaceLabels: Labels | "unknown";
  /** Undefined if nothing is known of it. */
  readonly serviceAccount: ServiceAccountFacts | undefined;
  /** What could not be read and why, a line each. */
  readonly unread: readonly string[];
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

interface Document {
  readonly value: unknown;
}

/** Only Namespaces count that are among the documents. */
export function surroundingsInManifests(documents: readonly Document[]): FindSurroundings {
  const labelsOf = namespaceLabels(documents);
  return (namespace) =>
    Promise.resolve({ namespaceLabels: labelsOf(namespace), serviceAccount: undefined, unread: [] });
}

/** A Namespace among the documents adds its labels to those that it has in the cluster, as applying it will. */
export function surroundingsInCluster(
  documents: readonly Document[],
  { reader, defaultNamespace }: ClusterAccess,
): FindSurroundings {
  const labelsOf = namespaceLabels(documents);
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
