/** Reads a Secret as a copy: a few members of it, and texts that many copies share only once. */
import { textOf, type JsonObject } from "../core/kubernetes.ts";
import { GITOPS_ANNOTATIONS, MANAGED_BY_LABEL, MANAGER, REGISTRIES_ANNOTATION } from "../core/labels.ts";
import type { ExistingCopy } from "../core/replication.ts";
import type { Intern } from "./intern.ts";
import { readMetadata } from "./read-metadata.ts";

/** The type of a pull secret, and the key that the API server demands in it. */
export const PULL_SECRET_TYPE = "kubernetes.io/dockerconfigjson";
export const DOCUMENT_KEY = ".dockerconfigjson";

/** Whether a Secret, or its metadata alone, carries the label by which it is ours. */
export function isManaged(secret: JsonObject): boolean {
  return textOf(readMetadata(secret).labels, MANAGED_BY_LABEL) === MANAGER;
}

export function readCopy(secret: JsonObject, intern: Intern): ExistingCopy {
  const { uid, resourceVersion, annotations } = readMetadata(secret);
  const registries = textOf(annotations, REGISTRIES_ANNOTATION);
  const isPullSecret = secret["type"] === PULL_SECRET_TYPE;
  const content = isPullSecret ? textOf(secret["data"], DOCUMENT_KEY) : undefined;
  return {
    uid,
    // Comparable as numbers: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
    version: Number(resourceVersion),
    document: content === undefined ? undefined : intern(Buffer.from(content, "base64").toString("utf8")),
    registries: registries === undefined ? undefined : intern(registries),
    isMarked:
      isManaged(secret) &&
      Object.entries(GITOPS_ANNOTATIONS).every(([key, value]) => textOf(annotations, key) === value),
    isUpdatable: isPullSecret && secret["immutable"] !== true,
  };
}
