/** Reads a pod and what its admission depends on, for a person who asks about it. */
import type { ServiceAccountInfo } from "../../core/kubernetes.ts";
import type { Labels } from "../../core/labels.ts";
import type { ApisFor } from "../api.ts";
import { readMetadata, type ApiObject } from "./metadata.ts";
import { namesIn, readServiceAccountMetadata } from "./service-accounts.ts";

/** Each of them throws KubeApiError where the object does not exist or may not be read, and KubeUnreachableError. */
export interface PodReader {
  pod(namespace: string, name: string): Promise<ApiObject>;
  namespaceLabels(namespace: string): Promise<Labels>;
  serviceAccount(namespace: string, name: string): Promise<ServiceAccountInfo>;
}

export function createPodReader(apisFor: ApisFor): PodReader {
  const { core } = apisFor();
  return {
    pod: (namespace, name) => core.readNamespacedPod({ namespace, name }),
    async namespaceLabels(namespace) {
      return readMetadata(await core.readNamespace({ name: namespace })).labels;
    },
    async serviceAccount(namespace, name) {
      const account = await core.readNamespacedServiceAccount({ namespace, name });
      return {
        isMountableSecretsEnforced: readServiceAccountMetadata(account).isMountableSecretsEnforced,
        pullSecretNames: namesIn(account.imagePullSecrets),
        mountableSecretNames: namesIn(account.secrets),
      };
    },
  };
}
