/** What a person writes by hand for the same registries: what `pullpass policy` is measured beside. */

export interface PolicyRegistry {
  readonly name: string;
  readonly address: string;
}

const apiVersion = "admissionregistration.k8s.io/v1";

export interface PolicyOptions {
  readonly name: string;
  /** Of the namespaces whose pods it changes. */
  readonly label: Readonly<Record<string, string>>;
  /** Records in this annotation what it added. */
  readonly annotation?: string;
}

/**
 * A MutatingAdmissionPolicy and its binding: each registry whose address begins an image's name adds its pull secret. It
 * knows neither ports nor `*` nor the most specific address, and checks nothing.
 */
export function admissionPolicy(
  registries: readonly PolicyRegistry[],
  { name, label, annotation }: PolicyOptions,
): readonly object[] {
  const table = registries.map(
    (registry) => `{"prefix": "${registry.address}/", "secret": "pullpass-${registry.name}"}`,
  );
  const policy = {
    apiVersion,
    kind: "MutatingAdmissionPolicy",
    metadata: { name },
    spec: {
      matchConstraints: {
        namespaceSelector: { matchLabels: label },
        resourceRules: [
          { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"], scope: "*" },
        ],
      },
      failurePolicy: "Fail",
      reinvocationPolicy: "IfNeeded",
      variables: [
        { name: "registries", expression: `[${table.join(", ")}]` },
        {
          name: "images",
          expression:
            "object.spec.containers.map(c, c.image) + " +
            "(has(object.spec.initContainers) ? object.spec.initContainers.map(c, c.image) : [])",
        },
        { name: "isListed", expression: "has(object.spec.imagePullSecrets)" },
        {
          name: "lacking",
          expression:
            "variables.registries.filter(r, variables.images.exists(i, i.startsWith(r.prefix)) && " +
            "!(variables.isListed && object.spec.imagePullSecrets.exists(s, s.name == r.secret)))" +
            ".map(r, r.secret)",
        },
      ],
      mutations: [
        {
          // An Object of CEL inside of a list makes API servers before 1.36.4 panic (kubernetes/kubernetes#142181); an
          // ApplyConfiguration may not touch imagePullSecrets: their entries are atomic.
          patchType: "JSONPatch",
          jsonPatch: {
            expression:
              "variables.lacking.size() == 0 ? [] : (variables.isListed " +
              '? variables.lacking.map(s, JSONPatch{op: "add", path: "/spec/imagePullSecrets/-", value: {"name": s}}) ' +
              ': [JSONPatch{op: "add", path: "/spec/imagePullSecrets", value: variables.lacking.map(s, {"name": s})}])' +
              (annotation === undefined ? "" : ` + ${annotate(annotation)}`),
          },
        },
      ],
    },
  };
  const binding = {
    apiVersion,
    kind: "MutatingAdmissionPolicyBinding",
    metadata: { name },
    spec: { policyName: name },
  };
  return [policy, binding];
}

function annotate(annotation: string): string {
  const value = 'variables.lacking.join(",")';
  return `(has(object.metadata.annotations)
    ? [JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("${annotation}"), value: ${value}}]
    : [JSONPatch{op: "add", path: "/metadata/annotations", value: {"${annotation}": ${value}}}])`;
}
