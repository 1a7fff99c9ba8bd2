/** What Pullpass's webhook does for pull secrets, as a policy in the API server's own process (CEL). */

export interface PolicyRegistry {
  readonly name: string;
  readonly address: string;
}

const NAME = "pull-secrets";

/**
 * A MutatingAdmissionPolicy and its binding: each registry whose address begins an image's name adds its pull secret. It
 * knows neither ports nor `*` nor the most specific address, checks nothing and tells nobody.
 */
export function admissionPolicy(
  apiVersion: string,
  registries: readonly PolicyRegistry[],
  label: Readonly<Record<string, string>>,
): readonly object[] {
  const table = registries.map(
    ({ name, address }) => `{"prefix": "${address}/", "secret": "pullpass-${name}"}`,
  );
  const policy = {
    apiVersion,
    kind: "MutatingAdmissionPolicy",
    metadata: { name: NAME },
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
          // An ApplyConfiguration may not touch imagePullSecrets: their entries are atomic.
          patchType: "JSONPatch",
          jsonPatch: {
            expression:
              "variables.lacking.size() == 0 ? [] : variables.isListed " +
              '? variables.lacking.map(s, JSONPatch{op: "add", path: "/spec/imagePullSecrets/-", value: Object.spec.imagePullSecrets{name: s}}) ' +
              ': [JSONPatch{op: "add", path: "/spec/imagePullSecrets", value: variables.lacking.map(s, Object.spec.imagePullSecrets{name: s})}]',
          },
        },
      ],
    },
  };
  const binding = {
    apiVersion,
    kind: "MutatingAdmissionPolicyBinding",
    metadata: { name: NAME },
    spec: { policyName: NAME },
  };
  return [policy, binding];
}
