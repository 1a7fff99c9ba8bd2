/**
 * The few parts of Kubernetes objects that Pullpass reads. Everything else in them is left alone, so nothing here says
 * that an object has no other members. Members come from other people's JSON: `unknown` where no shape is promised.
 */

import type { NamespaceProblem } from "./labels.ts";

/** An object straight from JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A pod, or the template of one, as far as its envelope: both parts are there and are objects. */
export interface Pod {
  readonly metadata: JsonObject;
  readonly spec: JsonObject;
}

/** What is known of a namespace. Labels are unknown where there is no cluster to ask. */
export interface NamespaceInfo {
  readonly isOptedIn: boolean;
  readonly labels: Readonly<Record<string, string>> | "unknown";
}

/** A namespace as the replicator knows it. */
export interface Namespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isOptedIn: boolean;
  /** It is being deleted: nothing can be created in it, and what is in it goes by itself. */
  readonly isTerminating: boolean;
  /** The accounts that its annotation lists for attachment. */
  readonly serviceAccounts: readonly string[];
  readonly problems: readonly NamespaceProblem[];
}

/** What is known of the service account that a pod runs as. */
export interface ServiceAccountInfo {
  /** Its annotation `kubernetes.io/enforce-mountable-secrets` is true. */
  readonly isMountableSecretsEnforced: boolean;
  /** The names in its `imagePullSecrets`. */
  readonly pullSecretNames: ReadonlySet<string>;
  /** The names in its `secrets`: what its pods may mount if the list is enforced. */
  readonly mountableSecretNames: ReadonlySet<string>;
}

/** What is known of the build secret of a namespace. */
export interface BuildSecretState {
  /** It is there, whatever can be read now. */
  readonly exists: boolean;
  /** If it is not there, it is on its way: the namespace opted in a moment ago, and nothing is known to be in the way. */
  readonly isExpected: boolean;
  /** The names of the registries whose credentials cannot be read now: a new build secret goes without them. */
  readonly unreadable: ReadonlySet<string>;
}

/** What the cluster says about the surroundings of a pod. */
export interface PodContext {
  readonly namespace: NamespaceInfo;
  /** Undefined if nothing is known of it; then it counts as there. */
  readonly buildSecret?: BuildSecretState | undefined;
  /** Undefined if nothing is known of the pod's service account; then nothing is held against it. */
  readonly serviceAccount: ServiceAccountInfo | undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The elements of a list, or none if the value is not a list: absent, null, or of a type that no API server sends. */
export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

/** The own member of an object if it is a string, whatever its name. */
export function getString(object: unknown, key: string): string | undefined {
  if (!isObject(object) || !Object.hasOwn(object, key)) return undefined;
  const value = object[key];
  return typeof value === "string" ? value : undefined;
}
