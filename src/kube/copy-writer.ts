/** Writes and removes copies, each by one request, and reads only where that one was refused. */
import type { JsonObject } from "../core/kubernetes.ts";
import { GITOPS_ANNOTATIONS, MANAGED_BY_LABEL, MANAGER, REGISTRIES_ANNOTATION } from "../core/labels.ts";
import type { Copy } from "../core/replication.ts";
import type { CopyWriter, Lane, WriteOutcome } from "../replicator/ports.ts";
import { hasCause, hasStatus } from "./refusals.ts";
import { KubeNotSentError, type KubeClient } from "./client.ts";
import type { Intern } from "./intern.ts";
import { DOCUMENT_KEY, isManaged, PULL_SECRET_TYPE, readCopy } from "./read-copy.ts";
import { readMetadata } from "./read-metadata.ts";
import { getSecret, secretPath, secretsPath } from "./secrets.ts";

/*
 * Answers of a real API server; all others are thrown.
 *
 * request               | answer                                       | outcome
 * create: POST          | 201                                          | written
 *                       | 409 AlreadyExists, and it carries our label  | exists
 *                       | 409 AlreadyExists, and it does not           | foreign
 *                       | 409 AlreadyExists, and it is gone by now     | lost
 *                       | 404: there is no such namespace              | namespace-gone
 *                       | 403 with the cause NamespaceTerminating      | namespace-gone
 * update: PATCH (apply) | 200                                          | written
 *                       | 422 about metadata.uid: it is another one    | lost
 *                       | 409 Conflict: there is none (any more)       | lost
 * remove: DELETE        | 200, 404: gone already, 409: another one     | removed
 * any of them           | not sent                                     | not-leading
 */
export function createCopyWriter(client: Pick<KubeClient, "request">, intern: Intern): CopyWriter {
  const written = (secret: JsonObject): WriteOutcome => ({
    kind: "written",
    existing: readCopy(secret, intern),
  });

  /** What is there although it was not known. */
  async function findOut(namespace: string, name: string, lane: Lane): Promise<WriteOutcome> {
    const secret = await getSecret(client, namespace, name, lane);
    if (secret === undefined) return { kind: "lost" };
    return isManaged(secret)
      ? { kind: "exists", existing: readCopy(secret, intern) }
      : { kind: "foreign", uid: readMetadata(secret).uid };
  }

  return {
    /** By POST, because an apply does not fail where there is a Secret already, and would take over a foreign one. */
    async create(namespace, copy, lane) {
      try {
        const body = secretOf(copy);
        const query = { fieldManager: MANAGER };
        return written(
          await client.request({ method: "POST", path: secretsPath(namespace), query, body, lane }),
        );
      } catch (error) {
        if (error instanceof KubeNotSentError) return NOT_LEADING;
        if (hasStatus(error, 409) && error.reason === "AlreadyExists") {
          return findOut(namespace, copy.name, lane);
        }
        if (hasStatus(error, 404)) return { kind: "namespace-gone" };
        if (hasStatus(error, 403) && hasCause(error, "reason", "NamespaceTerminating")) {
          return { kind: "namespace-gone" };
        }
        throw error;
      }
    },

    /**
     * By server-side apply, which puts back what a person changed and leaves alone what a person added. The uid makes
     * the API server refuse to create a Secret, and to change another one of that name.
     */
    async update(namespace, copy, uid, lane) {
      try {
        const secret = await client.request({
          method: "PATCH",
          path: secretPath(namespace, copy.name),
          query: { fieldManager: MANAGER, force: "true" },
          body: secretOf(copy, uid),
          // JSON is YAML, and older API servers know apply by this name only.
          contentType: "application/apply-patch+yaml",
          lane,
        });
        return written(secret);
      } catch (error) {
        if (error instanceof KubeNotSentError) return NOT_LEADING;
        // A conflict can also mean that others wrote again and again meanwhile. The caller then finds the Secret again.
        if (hasStatus(error, 404, 409)) return { kind: "lost" };
        if (hasStatus(error, 422) && hasCause(error, "field", "metadata.uid")) return { kind: "lost" };
        throw error;
      }
    },

    async remove(namespace, name, uid, lane) {
      const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } };
      try {
        await client.request({ method: "DELETE", path: secretPath(namespace, name), body, lane });
      } catch (error) {
        if (error instanceof KubeNotSentError) return NOT_LEADING;
        if (!hasStatus(error, 404, 409)) throw error;
      }
      return { kind: "removed" };
    },
  };
}

const NOT_LEADING = { kind: "not-leading" } as const;

function secretOf({ name, data, registries }: Copy, uid?: string): JsonObject {
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
