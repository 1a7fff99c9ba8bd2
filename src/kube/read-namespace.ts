/** Reads a Namespace, or its metadata alone. */
import { textOf, type JsonObject, type Namespace } from "../core/kubernetes.ts";
import { INJECT_LABEL, SERVICE_ACCOUNTS_ANNOTATION } from "../core/labels.ts";
import type { Intern } from "./intern.ts";
import { readMetadata } from "./read-metadata.ts";

const NONE: readonly string[] = Object.freeze([]);

/** Texts are interned: 10,000 namespaces have the same few labels, besides the one that repeats the name. */
export function readNamespace(namespace: JsonObject, intern: Intern): Namespace {
  const { name, labels, annotations, isBeingDeleted } = readMetadata(namespace);
  const accounts = textOf(annotations, SERVICE_ACCOUNTS_ANNOTATION);
  return {
    name,
    labels: Object.fromEntries(
      Object.entries(labels).map(([key, value]) => [key, value === name ? name : intern(value)]),
    ),
    isOptedIn: textOf(labels, INJECT_LABEL) === "enabled",
    isTerminating: isBeingDeleted || textOf(namespace["status"], "phase") === "Terminating",
    serviceAccounts: accounts === undefined ? NONE : accountNames(accounts, intern),
  };
}

/** A DNS-1123 subdomain, which the name of a ServiceAccount is: `validateServiceAccountName` of kube-apiserver. */
const ACCOUNT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME_LENGTH = 253;

/** The names in a list with commas, each once. What cannot be a name is left out: it would end up in a URL's path. */
function accountNames(list: string, intern: Intern): readonly string[] {
  const names = list.split(",").map((name) => name.trim());
  const valid = names.filter((name) => name.length <= MAX_NAME_LENGTH && ACCOUNT_NAME.test(name));
  return [...new Set(valid)].map(intern);
}
