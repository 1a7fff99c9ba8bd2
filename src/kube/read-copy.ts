/** Reads a Secret as a copy: a few short texts, of which those that many copies share are kept once. */
import { hash } from "node:crypto";
import { asArray, isObject, getString, type JsonObject } from "../core/kubernetes.ts";
import { GITOPS_ANNOTATIONS, MANAGED_BY_LABEL, MANAGER, REGISTRIES_ANNOTATION } from "../core/labels.ts";
import { contentOf, type Digest, type ExistingCopy } from "../core/replication.ts";
import type { Intern } from "./intern.ts";
import { readMetadata } from "./read-metadata.ts";

/** The type of a pull secret, and the key that the API server demands in it. */
export const PULL_SECRET_TYPE = "kubernetes.io/dockerconfigjson";
export const DOCUMENT_KEY = ".dockerconfigjson";

/** Kept in memory only: even a digest of a credential has no place in the cluster or in a log. */
export const digest: Digest = (text) => hash("sha256", text, "base64");

/** Whether a Secret, or its metadata alone, carries the label by which it is ours. */
export function isManaged(secret: JsonObject): boolean {
  return getString(readMetadata(secret).labels, MANAGED_BY_LABEL) === MANAGER;
}

/**
 * Whether Pullpass wrote it, by the API server's own record: https://kubernetes.io/docs/reference/using-api/server-side-apply/
 * It takes the Secret or its metadata alone.
 */
export function isWrittenByUs({ metadata }: JsonObject): boolean {
  const records = asArray(isObject(metadata) ? metadata["managedFields"] : undefined);
  return records.some((record) => getString(record, "manager") === MANAGER);
}

export function readCopy(secret: JsonObject, intern: Intern): ExistingCopy {
  const { uid, resourceVersion, annotations } = readMetadata(secret);
  const isPullSecret = secret["type"] === PULL_SECRET_TYPE;
  const data = isPullSecret ? getString(secret["data"], DOCUMENT_KEY) : undefined;
  const registries = getString(annotations, REGISTRIES_ANNOTATION);
  const isOurs = isWrittenByUs(secret);
  const isMarked =
    isOurs &&
    isManaged(secret) &&
    Object.entries(GITOPS_ANNOTATIONS).every(([key, value]) => getString(annotations, key) === value);
  return {
    uid,
    // Comparable as numbers: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
    version: Number(resourceVersion),
    content:
      isMarked && data !== undefined && registries !== undefined
        ? intern(contentOf(data, registries, digest))
        : undefined,
    isWrittenByUs: isOurs,
    isUpdatable: isPullSecret && secret["immutable"] !== true,
  };
}
