/** Every label and annotation that Pullpass reads or writes, and the selectors over labels. */

/** On a Namespace, `enabled` opts in; on a Pod, `disabled` opts out. */
export const INJECT_LABEL = "pullpass.dev/inject";
/** On a Namespace, `enabled`: its pods that cannot pull may be evicted, where `serve` has `--heal`. */
export const HEAL_LABEL = "pullpass.dev/heal";
/**
 * On a Pod: names of registries, separated by commas, or `*`, to inject although no image needs them. Written on a copy:
 * the registries in it.
 */
export const REGISTRIES_ANNOTATION = "pullpass.dev/registries";
/** Written on a Pod: the names of the registries whose credentials it was given, separated by commas. */
export const INJECTED_ANNOTATION = "pullpass.dev/injected";
/** On a Pod: names of containers, separated by commas, or `*`, that push or pull images themselves, whatever their image. */
export const BUILD_CONTAINERS_ANNOTATION = "pullpass.dev/build-containers";
/** On a Pod: the directory in which its builders read `config.json`, an absolute path. */
export const DOCKER_CONFIG_PATH_ANNOTATION = "pullpass.dev/docker-config-path";
/** On a Pod that stands for a static pod of a node; such a pod may not reference secrets. */
export const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";

/** On a Namespace: names of ServiceAccounts, separated by commas, that get the pull secrets, too. */
export const SERVICE_ACCOUNTS_ANNOTATION = "pullpass.dev/service-accounts";
/** Written on a ServiceAccount: the pull secrets that were added to it, separated by commas. */
export const ATTACHED_ANNOTATION = "pullpass.dev/attached";
/** On a ServiceAccount: its pods may use only the Secrets that it lists; see {@link enforcesMountableSecrets}. */
const ENFORCE_MOUNTABLE_SECRETS_ANNOTATION = "kubernetes.io/enforce-mountable-secrets";
/** On every copy, with the value {@link MANAGER}: what carries it is ours to write and to remove. */
export const MANAGED_BY_LABEL = "app.kubernetes.io/managed-by";
/** The value of that label, and the name under which the API server keeps track of the fields that we write. */
export const MANAGER = "pullpass";
/**
 * On the Secret in which Pullpass keeps its own certificates, with the value {@link SELF_MANAGED}, and on those that
 * cert-manager keeps for the chart, with another one. Not the label of a copy: as a copy that no namespace needs they would
 * be removed.
 */
export const CERTIFICATES_LABEL = "pullpass.dev/certificates";
export const SELF_MANAGED = "self-managed";
/**
 * On a Secret in Pullpass's own namespace, with the value `true`: a ClusterRegistry may refer to it. Whoever may create
 * ClusterRegistries may not thereby read every Secret of that namespace.
 */
export const CREDENTIALS_LABEL = "pullpass.dev/registry-credentials";
/** On the Secret in which Pullpass keeps what credential providers handed out, with the value `true`. */
export const PROVIDER_ANSWERS_LABEL = "pullpass.dev/provider-answers";
/** On a ClusterRegistry: when somebody asked for a login, in RFC 3339. */
export const CHECK_REQUESTED_ANNOTATION = "pullpass.dev/check-requested-at";
/** On a ClusterRegistry, beside it: an image, of which the registry is asked whether the credentials may pull it. */
export const CHECK_IMAGE_ANNOTATION = "pullpass.dev/check-image";
/** Written on a copy: they keep Argo CD from removing what no repository holds. */
export const GITOPS_ANNOTATIONS: Readonly<Record<string, string>> = {
  "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
  "argocd.argoproj.io/sync-options": "Prune=false",
};

/** All that Go's `strconv.ParseBool` takes for true, by which the API server's ServiceAccount plugin reads the annotation. */
const GO_TRUE: ReadonlySet<string> = new Set(["1", "t", "T", "true", "TRUE", "True"]);

/** Whether a ServiceAccount with these annotations allows its pods only the Secrets that it lists. */
export function enforcesMountableSecrets(annotations: Labels): boolean {
  const value = valueOf(annotations, ENFORCE_MOUNTABLE_SECRETS_ANNOTATION);
  return value !== undefined && GO_TRUE.has(value);
}

export type Labels = Readonly<Record<string, string>>;

/** A label selector with the meaning of `metav1.LabelSelector`: all parts have to hold, an empty one selects all. */
export interface LabelSelector {
  readonly matchLabels?: Labels | undefined;
  readonly matchExpressions?: readonly LabelExpression[] | undefined;
}

export interface LabelExpression {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[] | undefined;
}

export function selectorMatches(selector: LabelSelector, labels: Labels): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => valueOf(labels, key) === value) &&
    matchExpressions.every((expression) => expressionMatches(expression, labels))
  );
}

/*
 * operator     | label absent | value in values | value not in values
 * In           | no           | yes             | no
 * NotIn        | yes          | no              | yes
 * Exists       | no           | yes             | yes
 * DoesNotExist | yes          | no              | no
 */
function expressionMatches({ key, operator, values = [] }: LabelExpression, labels: Labels): boolean {
  const value = valueOf(labels, key);
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** In kubectl's notation, as `--selector` takes it. An empty selector is an empty string. */
export function formatSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  return [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(formatExpression),
  ].join(",");
}

function formatExpression({ key, operator, values = [] }: LabelExpression): string {
  switch (operator) {
    case "In":
      return `${key} in (${values.join(",")})`;
    case "NotIn":
      return `${key} notin (${values.join(",")})`;
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
  }
}

/** A requirement of a selector, as kubectl takes it; the last groups are a set of values and a single one. */
const REQUIREMENT =
  /^\s*(?:(!)\s*([\w./-]+)|([\w./-]+)(?:\s+(in|notin)\s*\(([\w\s.,-]*)\)|\s*(==?|!=)\s*([\w.-]*))?)\s*$/;

/** The inverse of {@link formatSelector}. Undefined if the text is not a selector in kubectl's notation. */
export function parseSelector(text: string): LabelSelector | undefined {
  if (text.trim() === "") return {};
  const expressions: LabelExpression[] = [];
  // A comma within parentheses separates values.
  for (const part of text.split(/,(?![^(]*\))/)) {
    const match = REQUIREMENT.exec(part);
    if (match === null) return undefined;
    const [, not, absent = "", key = "", set, list = "", compared, value = ""] = match;
    if (not !== undefined) expressions.push({ key: absent, operator: "DoesNotExist" });
    else if (set !== undefined) {
      const values = list.split(",").map((each) => each.trim());
      expressions.push({ key, operator: set === "in" ? "In" : "NotIn", values });
    } else if (compared === undefined) expressions.push({ key, operator: "Exists" });
    else expressions.push({ key, operator: compared === "!=" ? "NotIn" : "In", values: [value] });
  }
  return { matchExpressions: expressions };
}

/** Labels come from JSON, so a key such as `constructor` must not be found on the prototype. */
function valueOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** In characters, keys and values together. The longest label has 381, an ordinary one 40: more than anybody uses. */
export const MAX_LABELS_LENGTH = 16 * 1024;
/** Each is read, and patched where needed, at every change. */
export const MAX_SERVICE_ACCOUNTS = 100;

/** What is wrong with the labels and annotations of a namespace, as reasons of Events. */
export type NamespaceProblem = "InjectLabelHasNoEffect" | "LabelsTooLong" | "TooManyServiceAccounts";

export function describeProblem(problem: NamespaceProblem, labels: Labels): string {
  switch (problem) {
    case "InjectLabelHasNoEffect":
      return `The label ${INJECT_LABEL}=${labels[INJECT_LABEL] ?? ""} has no effect. To opt the namespace in, set it to "enabled".`;
    case "LabelsTooLong":
      return `The labels of the namespace have more than ${String(MAX_LABELS_LENGTH)} characters. Pullpass does not read them and treats the namespace as not opted in.`;
    case "TooManyServiceAccounts":
      return `The annotation ${SERVICE_ACCOUNTS_ANNOTATION} lists more than ${String(MAX_SERVICE_ACCOUNTS)} ServiceAccounts. Pullpass ignores the rest.`;
  }
}
