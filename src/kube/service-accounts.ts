/** Reads and changes ServiceAccounts. */
import type { ServiceAccount } from "../core/attachment.ts";
import { asArray, getString, type JsonObject } from "../core/kubernetes.ts";
import { ATTACHED_ANNOTATION, enforcesMountableSecrets, MANAGER } from "../core/labels.ts";
import type { ServiceAccountClient } from "../replicator/ports.ts";
import { causesOf, hasStatus } from "./refusals.ts";
import { KubeNotSentError, type KubeClient } from "./client.ts";
import { digest } from "./read-copy.ts";
import { readMetadata } from "./read-metadata.ts";

/** What the metadata of a ServiceAccount tells. */
export interface ServiceAccountMetadata {
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  readonly isMountableSecretsEnforced: boolean;
  /** The digest of the annotation that lists the pull secrets that Pullpass added; undefined if it added none. */
  readonly attached: string | undefined;
}

/** Reads a ServiceAccount or its PartialObjectMetadata. */
export function readServiceAccountMetadata(account: JsonObject): ServiceAccountMetadata {
  const { namespace, name, resourceVersion, annotations } = readMetadata(account);
  const attached = getString(annotations, ATTACHED_ANNOTATION);
  return {
    namespace,
    name,
    resourceVersion,
    isMountableSecretsEnforced: enforcesMountableSecrets(annotations),
    attached: attached === undefined ? undefined : digest(attached),
  };
}

export function createServiceAccountClient(client: Pick<KubeClient, "request">): ServiceAccountClient {
  const pathOf = (namespace: string, name: string) =>
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`;
  return {
    async read(namespace, name, lane) {
      try {
        return readServiceAccount(
          await client.request({ method: "GET", path: pathOf(namespace, name), lane }),
        );
      } catch (error) {
        if (hasStatus(error, 404)) return undefined;
        throw error;
      }
    },

    async patch(namespace, name, operations, lane) {
      try {
        const account = await client.request({
          method: "PATCH",
          path: pathOf(namespace, name),
          query: { fieldManager: MANAGER },
          body: operations,
          contentType: "application/json-patch+json",
          lane,
        });
        return { kind: "patched", resourceVersion: readMetadata(account).resourceVersion };
      } catch (error) {
        if (error instanceof KubeNotSentError) return { kind: "not-leading" };
        if (hasStatus(error, 404)) return { kind: "gone" };
        // A `test` that fails, as any operation that does not apply, is answered by 422 without a cause; a patch that
        // leads to an invalid object, which no second try makes valid, by 422 with causes.
        if (hasStatus(error, 409) || (hasStatus(error, 422) && causesOf(error).length === 0)) {
          return { kind: "conflict" };
        }
        throw error;
      }
    },
  };
}

function readServiceAccount(account: JsonObject): ServiceAccount {
  const { resourceVersion, annotations } = readMetadata(account);
  const { imagePullSecrets, secrets } = account;
  return {
    resourceVersion,
    imagePullSecrets: Array.isArray(imagePullSecrets) ? asArray(imagePullSecrets) : undefined,
    secrets: Array.isArray(secrets) ? asArray(secrets) : undefined,
    annotations: Object.keys(annotations).length === 0 ? undefined : annotations,
  };
}
