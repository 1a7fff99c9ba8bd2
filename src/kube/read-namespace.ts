/** Reads a Namespace, or its metadata alone. */
import { getString, type JsonObject, type Namespace } from "../core/kubernetes.ts";
import { INJECT_LABEL, type Labels, MAX_LABELS_LENGTH, MAX_SERVICE_ACCOUNTS, type NamespaceProblem, SERVICE_ACCOUNTS_ANNOTATION } from "../core/labels.ts";
import type { Intern } from "./intern.ts";
import { readMetadata } from "./read-metadata.ts";

const NONE = Object.freeze([]);

/**
 * What is kept is short, however much somebody wrote into labels and annotations. Texts are interned: 10,000 namespaces have
 * the same few labels, besides the one that repeats the name.
 */
export function readNamespace(namespace: JsonObject, intern: Intern): Namespace {
  const { name, labels: allLabels, annotations, isBeingDeleted } = readMetadata(namespace);
  const areTooLong = isLongerThan(MAX_LABELS_LENGTH, allLabels);
  const labels: Labels = areTooLong ? {} : allLabels;
  const optIn = getString(labels, INJECT_LABEL);
  const accounts = accountNames(getString(annotations, SERVICE_ACCOUNTS_ANNOTATION) ?? "", intern);
  const problems: NamespaceProblem[] = [];
  if (areTooLong) problems.push("LabelsTooLong");
  if (optIn !== undefined && optIn !== "enabled" && optIn !== "disabled")
    problems.push("InjectLabelHasNoEffect");
  if (accounts.areTooMany) problems.push("TooManyServiceAccounts");
  return {
    name,
    labels: Object.fromEntries(
      Object.entries(labels).map(([key, value]) => [key, value === name ? name : intern(value)]),
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
function accountNames(list: string, intern: Intern): AccountNames {
  const isTooLong = list.length > MAX_LIST_LENGTH;
  const read = isTooLong ? list.slice(0, Math.max(0, list.lastIndexOf(",", MAX_LIST_LENGTH))) : list;
  const names = read.split(",").map((name) => name.trim());
  const valid = new Set(names.filter((name) => name.length <= MAX_NAME_LENGTH && ACCOUNT_NAME.test(name)));
  return {
    names: valid.size === 0 ? NONE : [...valid].slice(0, MAX_SERVICE_ACCOUNTS).map(intern),
    areTooMany: isTooLong || valid.size > MAX_SERVICE_ACCOUNTS,
  };
}
