/**
 * A configuration as a MutatingAdmissionPolicy: the API server decides itself what the webhook would have decided about pull
 * secrets, so that there is no webhook in the path. What a policy cannot do, mounts for builders above all, it leaves out.
 */
import { compareSpecificity, type Address } from "./address.ts";
import type { JsonObject } from "./kubernetes.ts";
import { formatSelector, INJECT_LABEL, MIRROR_ANNOTATION, type LabelSelector } from "./labels.ts";
import {
  countCodePoints,
  PolicyTooLargeError,
  requireWithinLimits,
  MAX_CODE_POINTS,
} from "./policy-limits.ts";
import {
  addressTest,
  claimedExpression,
  IMAGES,
  INJECTED,
  LACKING,
  NAMED,
  NAMESPACE_LABELS,
  PATCH,
  REFERENCES,
  REPOSITORIES,
  secretsExpression,
  selectorExpression,
  text,
} from "./policy-expressions.ts";
import type { Registry } from "./registry.ts";

/** The first Kubernetes that has it without a feature gate; 1.34 and 1.35 have it as v1beta1, which is off. */
export const POLICY_KUBERNETES_VERSION = "1.36";
const API_VERSION = "admissionregistration.k8s.io/v1";
/** Of the policy and of its binding: there is one Pullpass in a cluster. */
export const POLICY_NAME = "pullpass";
/** Beside Pullpass's own: the cluster has to start whatever its labels. */
export const OTHER_EXCLUDED_NAMESPACE = "kube-system";
const METADATA = { name: POLICY_NAME, labels: { "app.kubernetes.io/name": "pullpass" } } as const;

export interface AdmissionPolicyOptions {
  /** Namespaces whose pods are left alone, whatever their labels. */
  readonly excludedNamespaces: readonly string[];
}

export interface AdmissionPolicy {
  readonly policy: JsonObject;
  readonly binding: JsonObject;
}

/** @throws PolicyTooLargeError if an API server would refuse it, or would not get to its end with an ordinary pod. */
export function renderAdmissionPolicy(
  configured: readonly Registry[],
  { excludedNamespaces }: AdmissionPolicyOptions,
): AdmissionPolicy {
  const registries = configured.filter(({ use }) => use.includes("pull"));
  const variables = variablesFor(registries);
  const policy = {
    apiVersion: API_VERSION,
    kind: "MutatingAdmissionPolicy",
    metadata: METADATA,
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
      ],
      // A pod is never refused because of us.
      failurePolicy: "Ignore",
      // Another policy, or a webhook, may add a container later on.
      reinvocationPolicy: "IfNeeded",
      variables,
      mutations: [{ patchType: "JSONPatch", jsonPatch: { expression: PATCH } }],
    },
  };
  requireWithinLimits(
    policy,
    variables,
    registries.map(({ address }) => addressTest(address)),
  );
  const binding = {
    apiVersion: API_VERSION,
    kind: "MutatingAdmissionPolicyBinding",
    metadata: METADATA,
    spec: { policyName: POLICY_NAME },
  };
  return { policy, binding };
}

interface Variable {
  readonly name: string;
  readonly expression: string;
}

/** Each reads only those before it. */
function variablesFor(registries: readonly Registry[]): readonly Variable[] {
  const tables = cutIntoTables(registries);
  const hasSelectors = registries.some(({ namespaces }) => namespaces !== undefined);
  const hasGlobs = registries.some(({ address }) => address.isWildcard);
  const isShared = new Set(registries.map(({ secretName }) => secretName)).size < registries.length;
  const single = tables.length === 1 && !hasSelectors;
  return [
    ...(hasSelectors ? [{ name: "labels", expression: NAMESPACE_LABELS }] : []),
    ...tables.flatMap((table, number) => variablesOf(table, single ? "" : number.toString())),
    ...(single ? [] : [{ name: "registries", expression: joinedExpression(tables) }]),
    { name: "images", expression: IMAGES },
    { name: "references", expression: REFERENCES },
    { name: "repositories", expression: REPOSITORIES },
    { name: "claimed", expression: claimedExpression(hasGlobs) },
    { name: "named", expression: NAMED },
    { name: "lacking", expression: LACKING },
    { name: "secrets", expression: secretsExpression(isShared) },
    { name: "injected", expression: INJECTED },
  ];
}

/** Some of the registries, because one expression holds only so many, and the selectors that they refer to. */
interface Table {
  readonly entries: string[];
  readonly selectors: Map<string, string>;
}

const MAX_TABLE_ENTRIES = 500;
/** Of each of the two expressions; comments and brackets have the rest. */
const MAX_TABLE_CODE_POINTS = MAX_CODE_POINTS - 1000;

/** In the order of the configuration, which is that of what a pod is given. */
function cutIntoTables(registries: readonly Registry[]): readonly Table[] {
  const rankOf = rankAddresses(registries);
  const tables: (Table & { codePoints: number })[] = [];
  for (const registry of registries) {
    const { name, secretName, address, namespaces } = registry;
    const selector = namespaces && writeSelector(namespaces);
    const entry = writeEntry({
      name,
      secret: secretName,
      rank: rankOf(address),
      ...addressTest(address),
      ...(selector && { selector: selector.key }),
    });
    const codePoints = countCodePoints(entry) + (selector === undefined ? 0 : selector.codePoints);
    if (codePoints > MAX_TABLE_CODE_POINTS)
      throw new PolicyTooLargeError(`what registry ${name} asks of namespaces is too long for an expression`);
    let table = tables.at(-1);
    const isFull =
      table === undefined ||
      table.entries.length === MAX_TABLE_ENTRIES ||
      table.codePoints + codePoints > MAX_TABLE_CODE_POINTS;
    if (table === undefined || isFull)
      tables.push((table = { entries: [], selectors: new Map(), codePoints: 0 }));
    table.entries.push(entry);
    if (selector !== undefined) table.selectors.set(selector.key, selector.expression);
    table.codePoints += codePoints;
  }
  return tables.length === 0 ? [{ entries: [], selectors: new Map() }] : tables;
}

/** The place of each address among all, the most specific first, with as many digits each: CEL compares them as strings. */
function rankAddresses(registries: readonly Registry[]): (address: Address) => string {
  const addresses = new Map(registries.map(({ address }) => [address.text, address]));
  const sorted = addresses.values().toArray().sort(compareSpecificity);
  const width = sorted.length.toString().length;
  const ranks = new Map(sorted.map((address, rank) => [address.text, rank.toString().padStart(width, "0")]));
  return (address) => String(ranks.get(address.text));
}

/** All values are strings, because the elements of a list in CEL have one type. */
function writeEntry(fields: Readonly<Record<string, string>>): string {
  return `{${Object.entries(fields)
    .map(([key, value]) => `${text(key)}: ${text(value)}`)
    .join(", ")}}`;
}

function writeSelector(selector: LabelSelector): {
  readonly key: string;
  readonly expression: string;
  readonly codePoints: number;
} {
  const key = formatSelector(selector);
  const expression = `${text(key)}: ${selectorExpression(selector)}`;
  return { key, expression, codePoints: countCodePoints(expression) };
}

function variablesOf({ entries, selectors }: Table, number: string): readonly Variable[] {
  const registries = {
    name: `registries${number}`,
    expression: writeLiteral(
      "[",
      entries,
      "]",
      "Registries, in the order of the configuration. The most specific address has the lowest rank.",
    ),
  };
  if (selectors.size === 0) return [registries];
  const selected = {
    name: `selected${number}`,
    expression: writeLiteral(
      "{",
      [...selectors.values()],
      "}",
      "Whether the labels of the namespace are what registries ask for.",
    ),
  };
  return [registries, selected];
}

function writeLiteral(open: string, elements: readonly string[], close: string, comment: string): string {
  const lines = elements.map((element) => `  ${element}`).join(",\n");
  return `// ${comment}\n${open}\n${lines}\n${close}`;
}

/** Those that the namespace may have: one that is kept from it hides no other one. */
function joinedExpression(tables: readonly Table[]): string {
  const lists = tables.map(({ selectors }, number) => {
    const list = `variables.registries${number.toString()}`;
    if (selectors.size === 0) return list;
    return `${list}.filter(e, !has(e.selector) || variables.selected${number.toString()}[e.selector])`;
  });
  return `// Those that the namespace may have.\n${lists.join("\n  + ")}`;
}
