/** Pullpass's own certificates in the cluster: the Secret that keeps them, and what the API server trusts of them. */
import { PatchStrategy, setHeaderOptions, type V1Secret } from "@kubernetes/client-node";
import { asArray, getString, isObject, type JsonObject } from "../../core/kubernetes.ts";
import { CERTIFICATES_LABEL, GITOPS_ANNOTATIONS, MANAGER, SELF_MANAGED } from "../../core/labels.ts";
import type {
  CertificateWriter,
  StoredCertificates,
  WebhookRegistration,
} from "../../core/stored-certificates.ts";
import type { ApisFor } from "../api.ts";
import { causesOf, hasStatus, isConflict, isNotFound, KubeNotSentError } from "../errors.ts";
import { readMetadata, type ApiObject } from "./metadata.ts";

export const WEBHOOK_CONFIGURATIONS_PATH =
  "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

export interface CertificateNames {
  readonly namespace: string;
  readonly secret: string;
  /** Of the MutatingWebhookConfiguration. */
  readonly webhook: string;
}

export function createCertificateWriter(
  apisFor: ApisFor,
  { namespace, secret: name, webhook }: CertificateNames,
): CertificateWriter {
  const { core, admissionRegistration } = apisFor();
  return {
    async writeSecret(data, over) {
      try {
        // The resource version goes with it: the API server accepts nothing that is based on an older state.
        const body = withData(over?.object ?? emptySecret(name), data);
        const stored =
          over === undefined
            ? await core.createNamespacedSecret({ namespace, body, fieldManager: MANAGER })
            : await core.replaceNamespacedSecret({ namespace, name, body, fieldManager: MANAGER });
        return readStoredCertificates(stored);
      } catch (error) {
        // Created, changed or removed by somebody else meanwhile, who may lead by now.
        if (
          error instanceof KubeNotSentError ||
          isConflict(error) ||
          (over !== undefined && isNotFound(error))
        )
          return undefined;
        throw error;
      }
    },

    async publish(bundle, { resourceVersion, bundles }) {
      try {
        const value = Buffer.from(bundle).toString("base64");
        const body = [
          // Webhooks have no keys in a patch but their places, which others may change.
          { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
          ...bundles.map((_, index) => ({
            op: "add",
            path: `/webhooks/${String(index)}/clientConfig/caBundle`,
            value,
          })),
        ];
        const stored = await admissionRegistration.patchMutatingWebhookConfiguration(
          { name: webhook, body, fieldManager: MANAGER },
          setHeaderOptions("Content-Type", PatchStrategy.JsonPatch),
        );
        return readRegistration(stored);
      } catch (error) {
        if (error instanceof KubeNotSentError || isNotFound(error) || isConflict(error)) return undefined;
        if (hasStatus(error, 422) && causesOf(error).length === 0) return undefined;
        throw error;
      }
    },
  };
}

export function readStoredCertificates(secret: ApiObject & { readonly data?: unknown }): StoredCertificates {
  const { labels, version } = readMetadata(secret);
  const data = isObject(secret.data) ? secret.data : {};
  const entries = Object.keys(data).map(
    (key) => [key, Buffer.from(getString(data, key) ?? "", "base64").toString("utf8")] as const,
  );
  return {
    isOurs: labels[CERTIFICATES_LABEL] === SELF_MANAGED || entries.length === 0,
    version,
    data: Object.fromEntries(entries),
    object: secret as JsonObject,
  };
}

export function readRegistration(
  configuration: ApiObject & { readonly webhooks?: unknown },
): WebhookRegistration {
  const { resourceVersion, version } = readMetadata(configuration);
  const bundles = asArray(configuration.webhooks).map((webhook) =>
    Buffer.from(
      getString(isObject(webhook) ? webhook["clientConfig"] : {}, "caBundle") ?? "",
      "base64",
    ).toString("utf8"),
  );
  return { version, resourceVersion, bundles };
}

function emptySecret(name: string): JsonObject {
  return { apiVersion: "v1", kind: "Secret", type: "Opaque", metadata: { name } };
}

function withData(secret: JsonObject, strings: Readonly<Record<string, string | undefined>>): V1Secret {
  const metadata = isObject(secret["metadata"]) ? secret["metadata"] : {};
  const { labels, annotations } = readMetadata(secret);
  const data = { ...(isObject(secret["data"]) ? (secret["data"] as Record<string, string>) : {}) };
  for (const [key, string] of Object.entries(strings)) {
    if (string === undefined) Reflect.deleteProperty(data, key);
    else data[key] = Buffer.from(string).toString("base64");
  }
  return {
    ...secret,
    metadata: {
      ...metadata,
      labels: { ...labels, [CERTIFICATES_LABEL]: SELF_MANAGED },
      annotations: { ...annotations, ...GITOPS_ANNOTATIONS },
    },
    data,
  };
}
