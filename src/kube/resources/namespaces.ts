/** Reads a Namespace, or its metadata alone. */
import { asArray, getString, isObject, type Namespace } from "../../core/kubernetes.ts";
import {
  INJECT_LABEL,
  MAX_LABELS_LENGTH,
  MAX_SERVICE_ACCOUNTS,
  SERVICE_ACCOUNTS_ANNOTATION,
  type Labels,
  type NamespaceProblem,
} from "../../core/labels.ts";
import type { Versioned } from "../../core/store.ts";
import type { StringPool } from "../string-pool.ts";
import { readMetadata, type ApiObject } from "./metadata.ts";

const NONE = Object.freeze([]);

/**
 * What is kept is short, however much somebody wrote into labels and annotations. Strings are pooled: 10,000 namespaces
 * have the same few labels, besides the one that repeats the name.
 */
export function readNamespace(namespace: ApiObject, pool: StringPool): Namespace & Versioned {
  const { name, version, labels: allLabels, annotations, isBeingDeleted } = readMetadata(namespace);
  const areTooLong = isLongerThan(MAX_LABELS_LENGTH, allLabels);
  const labels: Labels = areTooLong ? {} : allLabels;
  const optIn = getString(labels, INJECT_LABEL);
  const accounts = accountNames(getString(annotations, SERVICE_ACCOUNTS_ANNOTATION) ?? "", pool);
  const problems: NamespaceProblem[] = [];
  if (areTooLong) problems.push("LabelsTooLong");
  if (optIn !== undefined && optIn !== "enabled" && optIn !== "disabled")
    problems.push("InjectLabelHasNoEffect");
  if (accounts.areTooMany) problems.push("TooManyServiceAccounts");
  return {
    name,
    version,
    labels: Object.fromEntries(
      Object.entries(labels).map(([key, value]) => [key, value === name ? name : pool(value)]),
    ),
    isOptedIn: optIn === "enabled",
    isTerminating: isBeingDeleted,
    serviceAccounts: accounts.names,
    problems: problems.length === 0 ? NONE : problems,
  };
}

function isLongerThan(maxLength: number, labels: Labels): boolean {
  let length = 0;
  return Object.keys(labels).some((key) => {
    length += key.length + (labels[key] ?? "").length;
    return length > maxLength;
  });
}

/** A DNS-1123 subdomain, which the name of a ServiceAccount is: `validateServiceAccountName` of kube-apiserver. */
const ACCOUNT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME_LENGTH = 253;
/** Each name with a comma and a space. */
const MAX_LIST_LENGTH = MAX_SERVICE_ACCOUNTS * (MAX_NAME_LENGTH + 2);

interface AccountNames {
  readonly names: readonly string[];
  readonly areTooMany: boolean;
}

/** The names in a list with commas, each once. What cannot be a name is left out: it would end up in a URL's path. */
function accountNames(list: string, pool: StringPool): AccountNames {
  const isTooLong = list.length > MAX_LIST_LENGTH;
  const read = isTooLong ? list.slice(0, Math.max(0, list.lastIndexOf(",", MAX_LIST_LENGTH))) : list;
  const names = read.split(",").map((name) => name.trim());
  const valid = new Set(names.filter((name) => name.length <= MAX_NAME_LENGTH && ACCOUNT_NAME.test(name)));
  return {
    names: valid.size === 0 ? NONE : [...valid].slice(0, MAX_SERVICE_ACCOUNTS).map(pool),
    areTooMany: isTooLong || valid.size > MAX_SERVICE_ACCOUNTS,
  };
}

/**
 * When the label was set, by the API server's record of who set which field. The record's time is that of the last change of
 * any of its fields, so it says nothing unless the label is the only one.
 */
export function optedInAt({ metadata }: ApiObject): number | undefined {
  for (const record of asArray(isObject(metadata) ? metadata["managedFields"] : undefined)) {
    const fields = isObject(record) ? record["fieldsV1"] : undefined;
    const [only, ...others] = leavesOf(fields).filter((path) => !path.endsWith("."));
    if (others.length > 0 || only !== `f:metadata/f:labels/f:${INJECT_LABEL}`) continue;
    const time = Date.parse(getString(record, "time") ?? "");
    if (!Number.isNaN(time)) return time;
  }
  return undefined;
}

function leavesOf(fields: unknown): readonly string[] {
  if (!isObject(fields)) return [];
  return Object.entries(fields).flatMap(([key, value]) => {
    const below = leavesOf(value);
    return below.length === 0 ? [key] : below.map((path) => `${key}/${path}`);
  });
}
