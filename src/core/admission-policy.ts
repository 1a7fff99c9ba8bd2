/**
 * A configuration as a MutatingAdmissionPolicy: the API server decides itself what the webhook would have decided about pull
 * secrets, so that there is no webhook in the path. What a policy cannot do, mounts for builders above all, it leaves out.
 */
import { compareSpecificity, type Address } from "./address.ts";
import type { JsonObject } from "./kubernetes.ts";
import { formatSelector, INJECT_LABEL, MIRROR_ANNOTATION } from "./labels.ts";
import {
  countCodePoints,
  MAX_CODE_POINTS,
  requireWithinLimits,
  type PolicyVariable,
} from "./policy-limits.ts";
import {
  BEFORE,
  CLAIMED,
  coveringExpression,
  globOf,
  IMAGES,
  INJECTED,
  INJECTED_BEFORE,
  LACKING,
  NAMED,
  NAMESPACE_LABELS,
  neededExpression,
  PATCH,
  PRESENT,
  REFERENCES,
  REPOSITORIES,
  secretsExpression,
  selectorLiteral,
  text,
  writeMap,
  type Glob,
  type Lookup,
} from "./policy-expressions.ts";
import type { Registry } from "./registry.ts";

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
  /** `namespace/name` of ServiceAccounts whose pods are left alone. */
  readonly excludedAccounts: readonly string[];
}

export interface AdmissionPolicy {
  readonly policy: JsonObject;
  readonly binding: JsonObject;
}

/** @throws PolicyTooLargeError if an API server would refuse it, or would not get to its end with an ordinary pod. */
export function renderAdmissionPolicy(
  configured: readonly Registry[],
  { name, excludedNamespaces, excludedAccounts }: AdmissionPolicyOptions,
): AdmissionPolicy {
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
      matchConditions: [
        // A mirror pod stands for a static pod of a node, and may not reference Secrets.
        {
          name: "not-a-mirror-pod",
          expression: `!(${text(MIRROR_ANNOTATION)} in object.metadata.?annotations.orValue({}))`,
        },
        ...accounts,
      ],
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
 * A pod whose account lists the Secrets that it may name is refused with any other one, and a policy cannot read accounts. Nobody
 * has many: the annotation is deprecated since Kubernetes 1.32.
 */
function notOfAccounts(accounts: readonly string[]): PolicyVariable {
  return {
    name: "not-of-an-account-that-enforces-its-secrets",
    expression: `!(request.namespace + "/" + object.spec.?serviceAccountName.orValue("default") in [${accounts.map(text).join(", ")}])`,
  };
}

/** Each reads only those before it. */
function variablesFor(
  registries: readonly Registry[],
  globs: readonly HostGlob[],
): readonly PolicyVariable[] {
  const isLimited = registries.some(({ namespaces }) => namespaces !== undefined);
  const isShared = new Set(registries.map(({ secretName }) => secretName)).size < registries.length;
  const tables = writeTables(registries, globs);
  const lookUp: Lookup = (table, key) => {
    const [first = "", ...others] = tables[table].map(({ name }) => `variables.${name}[?${key}]`);
    return first + others.map((other) => `.or(${other})`).join("");
  };
  return [
    ...(isLimited ? [{ name: "labels", expression: NAMESPACE_LABELS }, ...tables.selectors] : []),
    ...joinLists("registries", tables.registries),
    ...tables.addresses,
    ...(globs.length > 0 ? joinLists("globs", tables.globs) : []),
    ...tables.names,
    { name: "images", expression: IMAGES },
    { name: "references", expression: REFERENCES },
    { name: "repositories", expression: REPOSITORIES },
    { name: "covering", expression: coveringExpression(lookUp, globs.length > 0, isLimited) },
    { name: "claimed", expression: CLAIMED },
    { name: "named", expression: NAMED },
    { name: "needed", expression: neededExpression(lookUp, isLimited) },
    { name: "present", expression: PRESENT },
    { name: "lacking", expression: LACKING },
    { name: "secrets", expression: secretsExpression(isShared) },
    { name: "before", expression: BEFORE },
    { name: "injectedBefore", expression: INJECTED_BEFORE },
    { name: "injected", expression: INJECTED },
  ];
}

/** A host with `*`, maybe with a port, and how it is compared. */
interface HostGlob {
  readonly authority: string;
  readonly glob: Glob;
}

/** Each once, however many paths are below it. */
function findGlobs(registries: readonly Registry[]): readonly HostGlob[] {
  const addresses = registries.flatMap(({ address }) =>
    address.isWildcard ? [[address.authority, address] as const] : [],
  );
  return [...new Map(addresses)].map(([authority, address]) => ({ authority, glob: globOf(address) }));
}

type Tables = Readonly<
  Record<"selectors" | "registries" | "addresses" | "globs" | "names", readonly PolicyVariable[]>
>;

function writeTables(registries: readonly Registry[], globs: readonly HostGlob[]): Tables {
  const ranked = rankAddresses(registries);
  const rankOf = new Map(ranked.map(({ address }, rank) => [address.text, padded(rank, ranked.length)]));
  const selectors = new Map(
    registries.flatMap(({ namespaces }) =>
      namespaces === undefined ? [] : [[formatSelector(namespaces), namespaces]],
    ),
  );
  return {
    selectors: cut(
      "selectors",
      "{}",
      "What registries ask of the labels of the namespace.",
      [...selectors].map(([key, selector]) => `${text(key)}: ${selectorLiteral(selector)}`),
    ),
    registries: cut(
      "registries",
      "[]",
      "In the order of the configuration. The lowest rank is that of the most specific address.",
      registries.map(({ name, secretName, address, namespaces }) =>
        writeMap({
          name,
          secret: secretName,
          rank: rankOf.get(address.text),
          selector: namespaces && formatSelector(namespaces),
        }),
      ),
    ),
    addresses: cut(
      "addresses",
      "{}",
      "The most specific first, with the positions of their registries.",
      ranked.map(({ address, positions }) => `${text(address.text)}: [${positions.join(", ")}]`),
    ),
    globs: cut(
      "globs",
      "[]",
      "How a host is compared with those that have a *.",
      globs.map(({ authority, glob }) => writeMap({ authority, ...glob })),
    ),
    names: cut(
      "names",
      "{}",
      "The positions of registries by their names.",
      registries.map(({ name }, position) => `${text(name)}: ${position.toString()}`),
    ),
  };
}

/** The addresses, the most specific first, each with the positions of the registries that have it. */
function rankAddresses(
  registries: readonly Registry[],
): readonly { readonly address: Address; readonly positions: readonly number[] }[] {
  const positions = Map.groupBy(registries.keys(), (position) => registries[position]?.address.text);
  return registries
    .filter(({ address }, position) => positions.get(address.text)?.[0] === position)
    .map(({ address }) => ({ address, positions: positions.get(address.text) ?? [] }))
    .sort((a, b) => compareSpecificity(a.address, b.address));
}

/** With as many digits each: CEL compares them as strings. */
function padded(rank: number, count: number): string {
  return rank.toString().padStart(count.toString().length, "0");
}

/** Of one expression, which is compiled as a whole. */
const MAX_ENTRIES = 500;
/** A comment and the brackets have the rest. */
const MAX_PART_CODE_POINTS = MAX_CODE_POINTS - 500;
/** Two blanks, a comma and the end of the line. */
const SEPARATOR_LENGTH = 4;

/** One variable, or several with numbers where the entries do not fit in one expression. At least one, maybe empty. */
function cut(
  name: string,
  brackets: "[]" | "{}",
  comment: string,
  entries: readonly string[],
): readonly PolicyVariable[] {
  const [open = "", close = ""] = brackets;
  const parts: string[][] = [[]];
  let codePoints = 0;
  for (const entry of entries) {
    const length = countCodePoints(entry) + SEPARATOR_LENGTH;
    if (parts.at(-1)?.length === MAX_ENTRIES || codePoints + length > MAX_PART_CODE_POINTS) {
      parts.push([]);
      codePoints = 0;
    }
    parts.at(-1)?.push(entry);
    codePoints += length;
  }
  return parts.map((part, number) => ({
    name: parts.length === 1 ? name : `${name}${number.toString()}`,
    expression: `// ${comment}\n${open}\n${part.map((entry) => `  ${entry}`).join(",\n")}\n${close}`,
  }));
}

function joinLists(name: string, parts: readonly PolicyVariable[]): readonly PolicyVariable[] {
  if (parts.length === 1) return parts;
  const expression = parts.map((part) => `variables.${part.name}`).join("\n  + ");
  return [...parts, { name, expression }];
}
