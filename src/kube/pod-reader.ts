/** Reads a pod and what its admission depends on, for a person who asks about it. */
import type { JsonObject, ServiceAccountFacts } from "../core/kubernetes.ts";
import type { Labels } from "../core/labels.ts";
import { namesIn } from "./account-facts.ts";
import type { KubeClient } from "./client.ts";
import { readMetadata } from "./read-metadata.ts";
import { readServiceAccountMetadata } from "./service-accounts.ts";

/** Each of them throws KubeApiError where the object does not exist or may not be read, and KubeUnreachableError. */
export interface PodReader {
  pod(namespace: string, name: string): Promise<JsonObject>;
  namespaceLabels(namespace: string): Promise<Labels>;
  serviceAccount(namespace: string, name: string): Promise<ServiceAccountFacts>;
}

export function createPodReader(client: Pick<KubeClient, "request">): PodReader {
  /** The names come from manifests and from the command line. */
  const get = (...path: readonly string[]) =>
    client.request({ method: "GET", path: `/api/v1/${path.map(encodeURIComponent).join("/")}` });
  return {
    pod: (namespace, name) => get("namespaces", namespace, "pods", name),
    async namespaceLabels(namespace) {
      return readMetadata(await get("namespaces", namespace)).labels;
    },
    async serviceAccount(namespace, name) {
      const account = await get("namespaces", namespace, "serviceaccounts", name);
      return {
        isMountableSecretsEnforced: readServiceAccountMetadata(account).isMountableSecretsEnforced,
        pullSecretNames: namesIn(account["imagePullSecrets"]),
        mountableSecretNames: namesIn(account["secrets"]),
      };
    },
  };
}
