/**
 * A configuration as a MutatingAdmissionPolicy: the API server decides itself what the webhook would have decided about pull
 * secrets, so that there is no webhook in the path. What a policy cannot do, mounts for builders above all, it leaves out.
 */
import type { JsonObject } from "../kubernetes.ts";
import { INJECT_LABEL } from "../labels.ts";
import { requireWithinLimits, type PolicyVariable } from "./limits.ts";
import {
  BEFORE,
  CLAIMED_OF_COVERING,
  claimedExpression,
  coveringExpression,
  FIRSTS,
  IMAGES,
  INJECTED,
  INJECTED_BEFORE,
  LACKING,
  LACKING_MAP,
  NAMED,
  NAMESPACE_LABELS,
  neededExpression,
  PATCH,
  PRESENT,
  PRESENT_MAP,
  REFERENCES,
  repositoriesExpression,
  secretsExpression,
  type Lookup,
} from "./expressions.ts";
import { findGlobs, joinLists, text, writeTables, type HostGlob } from "./tables.ts";
import type { Registry } from "../registry.ts";

/** The first Kubernetes that has it without a feature gate; 1.34 and 1.35 have it as v1beta1, which is off. */
export const POLICY_KUBERNETES_VERSION = "1.36";
const API_VERSION = "admissionregistration.k8s.io/v1";
/** Of the policy and the binding that `serve` keeps: there is one Pullpass in a cluster. It touches none of another name. */
export const POLICY_NAME = "pullpass";
/** Beside Pullpass's own: the cluster has to start whatever its labels. */
export const OTHER_EXCLUDED_NAMESPACE = "kube-system";

export interface AdmissionPolicyOptions {
  /** Of the policy and of its binding. */
  readonly name: string;
  /** Namespaces whose pods are left alone, whatever their labels. */
  readonly excludedNamespaces: readonly string[];
  /** `namespace/name` of ServiceAccounts whose pods are left alone, and with many of one namespace all of its pods. */
  readonly excludedAccounts: readonly string[];
}

export interface AdmissionPolicy {
  readonly policy: JsonObject;
  readonly binding: JsonObject;
}

/** @throws PolicyTooLargeError if an API server would refuse it, or would not get to its end with an ordinary pod. */
export function renderAdmissionPolicy(
  configured: readonly Registry[],
  { name, ...excluded }: AdmissionPolicyOptions,
): AdmissionPolicy {
  const { excludedNamespaces, excludedAccounts } = joinCrowded(excluded);
  const registries = configured.filter(({ use }) => use.includes("pull"));
  const globs = findGlobs(registries);
  const variables = variablesFor(registries, globs);
  const accounts = excludedAccounts.length > 0 ? [notOfAccounts(excludedAccounts)] : [];
  const metadata = { name, labels: { "app.kubernetes.io/name": "pullpass" } };
  const policy = {
    apiVersion: API_VERSION,
    kind: "MutatingAdmissionPolicy",
    metadata,
    spec: {
      matchConstraints: {
        namespaceSelector: {
          matchLabels: { [INJECT_LABEL]: "enabled" },
          matchExpressions: [
            { key: "kubernetes.io/metadata.name", operator: "NotIn", values: excludedNamespaces },
          ],
        },
        objectSelector: {
          matchExpressions: [{ key: INJECT_LABEL, operator: "NotIn", values: ["disabled"] }],
        },
        // A pod's pull secrets can only be set while it is created.
        resourceRules: [
          {
            apiGroups: [""],
            apiVersions: ["v1"],
            operations: ["CREATE"],
            resources: ["pods"],
            scope: "Namespaced",
          },
        ],
      },
      // Only where it has to be: 1.36 converts the pod once more for a condition.
      ...(accounts.length > 0 && { matchConditions: accounts }),
      // A pod is never refused because of us.
      failurePolicy: "Ignore",
      // Another policy, or a webhook, may add a container later on.
      reinvocationPolicy: "IfNeeded",
      variables,
      mutations: [{ patchType: "JSONPatch", jsonPatch: { expression: PATCH } }],
    },
  };
  requireWithinLimits(policy, [...variables, ...accounts], globs);
  const binding = {
    apiVersion: API_VERSION,
    kind: "MutatingAdmissionPolicyBinding",
    metadata,
    spec: { policyName: name },
  };
  return { policy, binding };
}

/**
 * Nobody needs more in a namespace: what makes an account one of these is deprecated since Kubernetes 1.32. One with its comma has
 * at most 321 characters, so that about thirty namespaces with so many fit, and hundreds with names of an ordinary length.
 */
const MAX_ACCOUNTS = 10;

/** A namespace with too many accounts is left alone as a whole, so that whoever makes accounts there does not fill the policy of all. */
function joinCrowded({
  excludedNamespaces,
  excludedAccounts,
}: Omit<AdmissionPolicyOptions, "name">): Omit<AdmissionPolicyOptions, "name"> {
  const accountsOf = Map.groupBy(excludedAccounts, (account) => account.split("/", 1).join());
  for (const namespace of excludedNamespaces) accountsOf.delete(namespace);
  const crowded = [...accountsOf].filter(([, accounts]) => accounts.length > MAX_ACCOUNTS);
  for (const [namespace] of crowded) accountsOf.delete(namespace);
  return {
    excludedNamespaces: [...excludedNamespaces, ...crowded.map(([namespace]) => namespace)],
    excludedAccounts: [...accountsOf.values()].flat(),
  };
}

/** A pod whose account lists the Secrets that it may name is refused with any other one, and a policy cannot read accounts. */
function notOfAccounts(accounts: readonly string[]): PolicyVariable {
  return {
    name: "not-of-an-account-that-enforces-its-secrets",
    expression: `!(request.namespace + "/" + object.spec.?serviceAccountName.orValue("default") in [${accounts.map(text).join(", ")}])`,
  };
}

/** How many components their paths have, each number once. */
function depthsOf(registries: readonly Registry[]): readonly number[] {
  const depths = registries.map(({ address: { path } }) => (path === "" ? 0 : path.split("/").length));
  return [...new Set(depths)].sort((a, b) => a - b);
}

/** Whether an image of Docker Hub may be covered, whose first component is no host. No other host would be taken for none. */
function coversDockerHub({ address: { host, isWildcard } }: Registry): boolean {
  return isWildcard || host === "docker.io";
}

/** Each reads only those before it. */
function variablesFor(
  registries: readonly Registry[],
  globs: readonly HostGlob[],
): readonly PolicyVariable[] {
  const isLimited = registries.some(({ namespaces }) => namespaces !== undefined);
  const isShared = new Set(registries.map(({ secretName }) => secretName)).size < registries.length;
  const isOfHub = registries.some(coversDockerHub);
  const tables = writeTables(registries, globs);
  const claims = { depths: depthsOf(registries), isLimited };
  const lookUp: Lookup = (table, key) => {
    const [first = "", ...others] = tables[table].map(({ name }) => `variables.${name}[?${key}]`);
    return first + others.map((other) => `.or(${other})`).join("");
  };
  const references = isOfHub ? "references" : "images";
  return [
    ...(isLimited ? [{ name: "labels", expression: NAMESPACE_LABELS }, ...tables.selectors] : []),
    ...joinLists("registryNames", tables.registryNames),
    ...joinLists("secretNames", tables.secretNames),
    ...(isLimited ? joinLists("selectorKeys", tables.selectorKeys) : []),
    ...tables.addresses,
    ...(globs.length > 0 ? [...joinLists("ranks", tables.ranks), ...joinLists("globs", tables.globs)] : []),
    ...tables.positions,
    { name: "images", expression: IMAGES },
    ...(isOfHub ? [{ name: "references", expression: REFERENCES }] : []),
    ...(globs.length === 0
      ? [{ name: "claimed", expression: claimedExpression(references, lookUp, claims) }]
      : [
          { name: "repositories", expression: repositoriesExpression(references) },
          { name: "covering", expression: coveringExpression(lookUp, claims) },
          { name: "claimed", expression: CLAIMED_OF_COVERING },
        ]),
    { name: "named", expression: NAMED },
    { name: "needed", expression: neededExpression(lookUp, isLimited) },
    { name: "present", expression: PRESENT },
    { name: "presentMap", expression: PRESENT_MAP },
    { name: "lacking", expression: LACKING },
    ...(isShared
      ? [
          ...joinLists("sharing", tables.sharing),
          ...joinLists("shared", tables.shared),
          { name: "lackingMap", expression: LACKING_MAP },
          { name: "firsts", expression: FIRSTS },
        ]
      : []),
    { name: "secrets", expression: secretsExpression(isShared) },
    { name: "before", expression: BEFORE },
    { name: "injectedBefore", expression: INJECTED_BEFORE },
    { name: "injected", expression: INJECTED },
  ];
}
