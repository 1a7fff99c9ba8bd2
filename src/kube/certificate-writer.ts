/** Reads and writes the Secret of Pullpass's own certificates, and what the API server trusts of them. */
import { asArray, isObject, getString, type JsonObject } from "../core/kubernetes.ts";
import { CERTIFICATES_LABEL, GITOPS_ANNOTATIONS, MANAGER, SELF_MANAGED } from "../core/labels.ts";
import type {
  CertificateWriter,
  StoredCertificates,
  WebhookRegistration,
} from "../core/stored-certificates.ts";
import { KubeNotSentError, type KubeClient } from "./client.ts";
import { readMetadata } from "./read-metadata.ts";
import { causesOf, hasStatus } from "./refusals.ts";
import { secretPath, secretsPath } from "./secrets.ts";

export const WEBHOOK_CONFIGURATIONS_PATH =
  "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

export interface CertificateNames {
  readonly namespace: string;
  readonly secret: string;
  /** Of the MutatingWebhookConfiguration. */
  readonly webhook: string;
}

export function createCertificateWriter(
  client: Pick<KubeClient, "request">,
  { namespace, secret, webhook }: CertificateNames,
): CertificateWriter {
  const query = { fieldManager: MANAGER };
  return {
    async writeSecret(data, over) {
      try {
        const stored =
          over === undefined
            ? await client.request({
                method: "POST",
                path: secretsPath(namespace),
                query,
                body: withData(emptySecret(secret), data),
              })
            : await client.request({
                method: "PUT",
                path: secretPath(namespace, secret),
                query,
                // Its resourceVersion goes with it: the API server takes nothing that is based on an older state.
                body: withData(over.object, data),
              });
        return readStoredCertificates(stored);
      } catch (error) {
        // Created, changed or removed by somebody else meanwhile, who may lead by now.
        if (
          error instanceof KubeNotSentError ||
          hasStatus(error, 409) ||
          (over !== undefined && hasStatus(error, 404))
        )
          return undefined;
        throw error;
      }
    },

    async publish(bundle, { resourceVersion, bundles }) {
      try {
        const value = Buffer.from(bundle).toString("base64");
        const stored = await client.request({
          method: "PATCH",
          path: `${WEBHOOK_CONFIGURATIONS_PATH}/${webhook}`,
          query,
          contentType: "application/json-patch+json",
          body: [
            // Webhooks have no keys in a patch but their places, which others may change.
            { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
            ...bundles.map((_, index) => ({
              op: "add",
              path: `/webhooks/${String(index)}/clientConfig/caBundle`,
              value,
            })),
          ],
        });
        return readRegistration(stored);
      } catch (error) {
        if (error instanceof KubeNotSentError || hasStatus(error, 404, 409)) return undefined;
        if (hasStatus(error, 422) && causesOf(error).length === 0) return undefined;
        throw error;
      }
    },
  };
}

export function readStoredCertificates(secret: JsonObject): StoredCertificates {
  const { labels, resourceVersion } = readMetadata(secret);
  const data = isObject(secret["data"]) ? secret["data"] : {};
  const texts = Object.keys(data).map(
    (key) => [key, Buffer.from(getString(data, key) ?? "", "base64").toString("utf8")] as const,
  );
  return {
    isOurs: labels[CERTIFICATES_LABEL] === SELF_MANAGED || texts.length === 0,
    version: Number(resourceVersion),
    data: Object.fromEntries(texts),
    object: secret,
  };
}

export function readRegistration(configuration: JsonObject): WebhookRegistration {
  const { resourceVersion } = readMetadata(configuration);
  const bundles = asArray(configuration["webhooks"]).map((webhook) =>
    Buffer.from(
      getString(isObject(webhook) ? webhook["clientConfig"] : {}, "caBundle") ?? "",
      "base64",
    ).toString("utf8"),
  );
  return { version: Number(resourceVersion), resourceVersion, bundles };
}

function emptySecret(name: string): JsonObject {
  return { apiVersion: "v1", kind: "Secret", type: "Opaque", metadata: { name } };
}

function withData(secret: JsonObject, texts: Readonly<Record<string, string | undefined>>): JsonObject {
  const metadata = isObject(secret["metadata"]) ? secret["metadata"] : {};
  const { labels, annotations } = readMetadata(secret);
  const encode = (text: string | undefined) =>
    text === undefined ? undefined : Buffer.from(text).toString("base64");
  const encoded = Object.entries(texts).map(([key, text]) => [key, encode(text)] as const);
  return {
    ...secret,
    metadata: {
      ...metadata,
      labels: { ...labels, [CERTIFICATES_LABEL]: SELF_MANAGED },
      annotations: { ...annotations, ...GITOPS_ANNOTATIONS },
    },
    // What is undefined is left out of JSON.
    data: { ...(isObject(secret["data"]) ? secret["data"] : {}), ...Object.fromEntries(encoded) },
  };
}
