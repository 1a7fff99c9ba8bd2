/** Copies: what is kept of each, and how they are written, with one request each and a read only where that was refused. */
import { hash } from "node:crypto";
import { PatchStrategy, setHeaderOptions, type V1Secret } from "@kubernetes/client-node";
import { asArray, getString, isObject } from "../../core/kubernetes.ts";
import { GITOPS_ANNOTATIONS, MANAGED_BY_LABEL, MANAGER, REGISTRIES_ANNOTATION } from "../../core/labels.ts";
import { contentOf, type Copy, type Digest, type ExistingCopy } from "../../core/replication.ts";
import type { CopyWriter, Priority, WriteOutcome } from "../../replicator/ports.ts";
import type { ApisFor } from "../api.ts";
import { hasCause, hasStatus, isConflict, isNotFound, KubeNotSentError, unlessMissing } from "../errors.ts";
import type { StringPool } from "../string-pool.ts";
import { readMetadata, type ApiObject } from "./metadata.ts";

/** The type of a pull secret, and the key that the API server demands in it. */
export const PULL_SECRET_TYPE = "kubernetes.io/dockerconfigjson";
export const DOCUMENT_KEY = ".dockerconfigjson";

/** Kept in memory only: even a digest of a credential has no place in the cluster or in a log. */
export const digest: Digest = (text) => hash("sha256", text, "base64");

/** A Secret, straight from JSON or from the typed API. */
interface SecretObject extends ApiObject {
  readonly type?: unknown;
  readonly data?: unknown;
  readonly immutable?: unknown;
}

/** Whether a Secret, or its metadata alone, carries the label that marks copies. */
export function isManaged(secret: ApiObject): boolean {
  return getString(readMetadata(secret).labels, MANAGED_BY_LABEL) === MANAGER;
}

/**
 * Whether Pullpass wrote it, by the API server's own record: https://kubernetes.io/docs/reference/using-api/server-side-apply/
 * Takes the Secret or its metadata alone.
 */
export function isWrittenByUs({ metadata }: ApiObject): boolean {
  const records = asArray(isObject(metadata) ? metadata["managedFields"] : undefined);
  return records.some((record) => getString(record, "manager") === MANAGER);
}

/** What is kept of a copy: a few short strings, of which those that many copies share are kept once. */
export function readCopy(secret: SecretObject, pool: StringPool): ExistingCopy {
  const { uid, version, annotations } = readMetadata(secret);
  const isPullSecret = secret.type === PULL_SECRET_TYPE;
  const data = isPullSecret ? getString(secret.data, DOCUMENT_KEY) : undefined;
  const registries = getString(annotations, REGISTRIES_ANNOTATION);
  const isOurs = isWrittenByUs(secret);
  const hasExpectedMetadata =
    isOurs &&
    isManaged(secret) &&
    Object.entries(GITOPS_ANNOTATIONS).every(([key, value]) => getString(annotations, key) === value);
  return {
    uid,
    version,
    content:
      hasExpectedMetadata && data !== undefined && registries !== undefined
        ? pool(contentOf(data, registries, digest))
        : undefined,
    isWrittenByUs: isOurs,
    isUpdatable: isPullSecret && secret.immutable !== true,
  };
}

/**
 * The Secret as the API server holds it now, credentials and all; undefined if there is none.
 *
 * @throws KubeApiError for every other refusal, KubeUnreachableError
 */
export async function getSecret(
  apisFor: ApisFor,
  namespace: string,
  name: string,
  priority: Priority,
): Promise<V1Secret | undefined> {
  return unlessMissing(apisFor(priority).core.readNamespacedSecret({ namespace, name }));
}

const NOT_LEADING = { kind: "not-leading" } as const;

/*
 * Answers of a real API server; all others are thrown.
 *
 * request               | answer                                       | outcome
 * create: POST          | 201                                          | written
 *                       | 409 AlreadyExists, and it carries our label  | exists
 *                       | 409 AlreadyExists, and it does not           | not-owned
 *                       | 409 AlreadyExists, and it is gone by now     | gone
 *                       | 404: there is no such namespace              | namespace-gone
 *                       | 403 with the cause NamespaceTerminating      | namespace-gone
 * update: PATCH (apply) | 200                                          | written
 *                       | 422 about metadata.uid: it is another one    | gone
 *                       | 409 Conflict: there is none (any more)       | gone
 * remove: DELETE        | 200, 404: gone already, 409: another one     | removed
 * any of them           | not sent                                     | not-leading
 */
export function createCopyWriter(apisFor: ApisFor, pool: StringPool): CopyWriter {
  const written = (secret: V1Secret): WriteOutcome => ({ kind: "written", existing: readCopy(secret, pool) });

  return {
    /** By POST, because an apply does not fail where there is a Secret already, and would take over another owner's. */
    async create(namespace, copy, priority) {
      try {
        const { core } = apisFor(priority);
        const body = secretOf(copy);
        return written(await core.createNamespacedSecret({ namespace, body, fieldManager: MANAGER }));
      } catch (error) {
        if (error instanceof KubeNotSentError) return NOT_LEADING;
        if (isConflict(error) && error.reason === "AlreadyExists")
          return existingOutcome(await getSecret(apisFor, namespace, copy.name, priority), pool);
        if (isNotFound(error)) return { kind: "namespace-gone" };
        if (hasStatus(error, 403) && hasCause(error, "reason", "NamespaceTerminating"))
          return { kind: "namespace-gone" };
        throw error;
      }
    },

    /**
     * By server-side apply, which restores what a person changed and leaves alone what a person added. The uid makes
     * the API server refuse to create a Secret, and to change another one of that name.
     */
    async update(namespace, copy, uid, priority) {
      try {
        const { name } = copy;
        const body = secretOf(copy, uid);
        const secret = await apisFor(priority).core.patchNamespacedSecret(
          { namespace, name, body, fieldManager: MANAGER, force: true },
          setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply),
        );
        return written(secret);
      } catch (error) {
        if (error instanceof KubeNotSentError) return NOT_LEADING;
        // A conflict can also mean that others kept writing meanwhile. The caller then finds the Secret again.
        if (isNotFound(error) || isConflict(error)) return { kind: "gone" };
        if (hasStatus(error, 422) && hasCause(error, "field", "metadata.uid")) return { kind: "gone" };
        throw error;
      }
    },

    async remove(namespace, name, uid, priority) {
      try {
        const body = { preconditions: { uid } };
        await apisFor(priority).core.deleteNamespacedSecret({ namespace, name, body });
      } catch (error) {
        if (error instanceof KubeNotSentError) return NOT_LEADING;
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
      return { kind: "removed" };
    },
  };
}

/** What is there although it was not known. */
function existingOutcome(secret: V1Secret | undefined, pool: StringPool): WriteOutcome {
  if (secret === undefined) return { kind: "gone" };
  return isManaged(secret)
    ? { kind: "exists", existing: readCopy(secret, pool) }
    : { kind: "not-owned", uid: readMetadata(secret).uid };
}

function secretOf({ name, data, registries }: Copy, uid?: string): V1Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: PULL_SECRET_TYPE,
    metadata: {
      name,
      ...(uid === undefined ? {} : { uid }),
      labels: { [MANAGED_BY_LABEL]: MANAGER },
      annotations: { [REGISTRIES_ANNOTATION]: registries.join(","), ...GITOPS_ANNOTATIONS },
    },
    data: { [DOCUMENT_KEY]: data },
  };
}
