/**
 * ClusterRegistries, and what the schema and the API server say about each. registry-crd.test.ts asks the schema,
 * test/cluster/chart-registry-crd.test.ts the API server.
 */

export interface RegistryObjectCase {
  readonly what: string;
  /** Default: `team-a`. */
  readonly name?: string;
  readonly spec: unknown;
}

export interface RefusedCase extends RegistryObjectCase {
  /** A part of what `readRegistryObject` says. */
  readonly schema: string;
}

const ADDRESS = "registry.example.com/team-a";
const secretRef = { name: "team-a-login" };
const BASIC_AUTH = { type: "BasicAuth", secretRef };
const TOKEN = { type: "Token", secretRef };

const withAuth = (auth: unknown) => ({ address: ADDRESS, auth });
const withNamespaces = (namespaces: unknown) => ({ address: ADDRESS, namespaces });
const withExpression = (expression: object) =>
  withNamespaces({ matchExpressions: [{ key: "team", ...expression }] });
const labels = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`label-${index.toString()}`, "a"]));
const times = <Element>(count: number, element: Element) => Array.from({ length: count }, () => element);

/** Both accept them. */
export const ACCEPTED: readonly RegistryObjectCase[] = [
  { what: "an address alone", spec: { address: ADDRESS } },
  {
    what: "every field",
    spec: {
      displayName: "My Org Private Registry",
      address: "*.example.com:5000/team-a",
      auth: { ...TOKEN, username: "robot$team-a" },
      namespaces: {
        matchLabels: { team: "a" },
        matchExpressions: [
          { key: "stage", operator: "In", values: ["dev"] },
          { key: "stage", operator: "NotIn", values: ["prod"] },
          { key: "example.com/Team_1", operator: "Exists" },
          { key: "secret", operator: "DoesNotExist", values: [] },
        ],
      },
      use: ["pull", "build"],
      secretName: "regcred",
      hosts: ["eu.example.com:5000"],
    },
  },
  { what: "a name of 63 characters", name: "a".repeat(63), spec: { address: ADDRESS } },
  { what: "an address as docker login writes it", spec: { address: "https://index.docker.io/v1/" } },
  { what: "BasicAuth", spec: withAuth(BASIC_AUTH) },
  { what: "Provider", spec: withAuth({ type: "Provider", provider: "ecr-credential-provider" }) },
  { what: "DockerConfig", spec: withAuth({ ...BASIC_AUTH, type: "DockerConfig" }) },
  { what: "a Secret's name with a dot", spec: withAuth({ ...TOKEN, secretRef: { name: "team-a.login" } }) },
  {
    what: "a Token for Docker Hub with a user name",
    spec: { address: "docker.io", auth: { ...TOKEN, username: "a" } },
  },
  { what: "a user name of 256 characters", spec: withAuth({ ...TOKEN, username: "u".repeat(256) }) },
  { what: "a display name of 256 characters", spec: { address: ADDRESS, displayName: "ä".repeat(256) } },
  { what: "an empty selector", spec: withNamespaces({}) },
  { what: "64 labels", spec: withNamespaces({ matchLabels: labels(64) }) },
  { what: "an empty label value", spec: withNamespaces({ matchLabels: { team: "" } }) },
  { what: "256 hosts", spec: { address: "*.example.com", hosts: times(256, "a.example.com") } },
];

/** Both refuse them. */
export const REFUSED: readonly (RefusedCase & {
  /** Parts of what the API server says. */
  readonly apiServer: readonly string[];
})[] = [
  {
    what: "a name with a dot",
    name: "team.a",
    spec: { address: ADDRESS },
    schema: "the name is not a DNS label",
    apiServer: [
      "metadata.name: Invalid value",
      "the name must be a DNS label: at most 63 characters, and no dot",
    ],
  },
  {
    what: "a name of 64 characters",
    name: "a".repeat(64),
    spec: { address: ADDRESS },
    schema: "the name is not a DNS label",
    apiServer: [
      "metadata.name: Invalid value",
      "the name must be a DNS label: at most 63 characters, and no dot",
    ],
  },
  {
    what: "a name in capitals",
    name: "Team-A",
    spec: { address: ADDRESS },
    schema: "the name is not a DNS label",
    apiServer: ["metadata.name", "lower case"],
  },
  { what: "no spec", spec: undefined, schema: "is missing", apiServer: ["spec: Required value"] },
  {
    what: "a spec that is a string",
    spec: ADDRESS,
    schema: "must be a mapping",
    apiServer: ["spec", "object"],
  },
  {
    what: "no address",
    spec: {},
    schema: "address: is missing",
    apiServer: ["spec.address: Required value"],
  },
  {
    what: "an empty address",
    spec: { address: "" },
    schema: "address: not a registry address: it is empty",
    apiServer: ["spec.address", "should be at least 1 char"],
  },
  {
    what: "an address of 521 characters",
    spec: { address: `registry.example.com/${"a".repeat(500)}` },
    schema: "address: is too long: at most 520 characters",
    apiServer: ["spec.address: Too long: may not be more than 520"],
  },
  {
    what: "a password in the address",
    spec: { address: "https://user:made-up@registry.example.com" },
    schema: "address: not a registry address: it holds an @",
    apiServer: ["spec.address", "credentials do not belong into an address"],
  },
  {
    what: "white space in the address",
    spec: { address: "registry.example.com /team-a" },
    schema: "address: not a registry address: it holds white space",
    apiServer: ["spec.address", "an address holds no white space, no ? and no #"],
  },
  {
    what: "a query in the address",
    spec: { address: "registry.example.com?ns=a" },
    schema: "address: not a registry address: it holds a ? or a #",
    apiServer: ["spec.address", "an address holds no white space, no ? and no #"],
  },
  {
    what: "an empty display name",
    spec: { address: ADDRESS, displayName: "" },
    schema: "displayName: must not be empty",
    apiServer: ["spec.displayName", "should be at least 1 char"],
  },
  {
    what: "a display name of 257 characters",
    spec: { address: ADDRESS, displayName: "a".repeat(257) },
    schema: "displayName: is too long: at most 256 characters",
    apiServer: ["spec.displayName: Too long: may not be more than 256"],
  },
  {
    what: "auth without a type",
    spec: withAuth({ secretRef }),
    schema: "auth.type: must be one of BasicAuth, Token, DockerConfig and Provider",
    apiServer: ["spec.auth.type: Required value"],
  },
  {
    what: "a type that there is not",
    spec: withAuth({ ...BASIC_AUTH, type: "Bearer" }),
    schema: "auth.type: must be one of BasicAuth, Token, DockerConfig and Provider",
    apiServer: ['spec.auth.type: Unsupported value: "Bearer"'],
  },
  {
    what: "a type of the file alone",
    spec: withAuth({ ...BASIC_AUTH, type: "Secret" }),
    schema: "auth.type: must be one of BasicAuth, Token, DockerConfig and Provider",
    apiServer: ['spec.auth.type: Unsupported value: "Secret"'],
  },
  {
    what: "auth without secretRef",
    spec: withAuth({ type: "BasicAuth" }),
    schema: "auth.secretRef: is missing",
    apiServer: ["spec.auth.secretRef: Required value"],
  },
  {
    what: "Provider without a provider",
    spec: withAuth({ type: "Provider" }),
    schema: "auth.provider: is missing",
    apiServer: ["spec.auth.provider: Required value"],
  },
  {
    what: "Provider with a Secret",
    spec: withAuth({ type: "Provider", provider: "ecr", secretRef }),
    schema: "auth.secretRef: type Provider has no Secret",
    apiServer: ["spec.auth.secretRef: Forbidden: type Provider has no Secret"],
  },
  {
    what: "a provider without Provider",
    spec: withAuth({ ...BASIC_AUTH, provider: "ecr" }),
    schema: "auth.provider: belongs to type Provider alone",
    apiServer: ["spec.auth.provider: Forbidden: belongs to type Provider alone"],
  },
  {
    what: "a provider in another directory",
    spec: withAuth({ type: "Provider", provider: "../ecr" }),
    schema: "auth.provider: must be the name of a program",
    apiServer: ["spec.auth.provider", "should match"],
  },
  {
    what: "a provider's name of 254 characters",
    spec: withAuth({ type: "Provider", provider: "a".repeat(254) }),
    schema: "auth.provider: is too long: at most 253 characters",
    apiServer: ["spec.auth.provider: Too long: may not be more than 253"],
  },
  {
    what: "Provider with a user name",
    spec: withAuth({ type: "Provider", provider: "ecr", username: "user" }),
    schema: "auth.username: belongs to type Token alone",
    apiServer: ["spec.auth.username", "belongs to type Token alone"],
  },
  {
    what: "a secretRef without a name",
    spec: withAuth({ type: "BasicAuth", secretRef: {} }),
    schema: "auth.secretRef.name: is missing",
    apiServer: ["spec.auth.secretRef.name: Required value"],
  },
  {
    what: "a Secret's name that cannot be one",
    spec: withAuth({ type: "BasicAuth", secretRef: { name: "../pullpass-tls" } }),
    schema: "auth.secretRef.name: must be a Secret's name",
    apiServer: ["spec.auth.secretRef.name", "should match"],
  },
  {
    what: "a Secret's name of 254 characters",
    spec: withAuth({ type: "BasicAuth", secretRef: { name: "a".repeat(254) } }),
    schema: "auth.secretRef.name: is too long: at most 253 characters",
    apiServer: ["spec.auth.secretRef.name: Too long: may not be more than 253"],
  },
  {
    what: "a user name without Token",
    spec: withAuth({ ...BASIC_AUTH, username: "user" }),
    schema: "auth.username: belongs to type Token alone",
    apiServer: ["spec.auth.username", "belongs to type Token alone"],
  },
  {
    what: "an empty user name",
    spec: withAuth({ ...TOKEN, username: "" }),
    schema: "auth.username: is empty",
    apiServer: ["spec.auth.username", "should be at least 1 char"],
  },
  {
    what: "a user name with a colon",
    spec: withAuth({ ...TOKEN, username: "user:made-up" }),
    schema: "auth.username: contains a colon",
    apiServer: ["spec.auth.username", "a user name has no colon"],
  },
  {
    what: "a user name of 257 characters",
    spec: withAuth({ ...TOKEN, username: "u".repeat(257) }),
    schema: "auth.username: is too long: at most 256 characters",
    apiServer: ["spec.auth.username: Too long: may not be more than 256"],
  },
  {
    what: "65 labels",
    spec: withNamespaces({ matchLabels: labels(65) }),
    schema: "namespaces.matchLabels: has too many entries: at most 64",
    apiServer: ["spec.namespaces.matchLabels: Too many: 65: must have at most 64 items"],
  },
  {
    what: "a key that is not a label's",
    spec: withNamespaces({ matchLabels: { "-team": "a" } }),
    schema: "namespaces.matchLabels: one of its keys must be a label key",
    apiServer: ["spec.namespaces.matchLabels", "must be a label key"],
  },
  {
    what: "a value that is not a label's",
    spec: withNamespaces({ matchLabels: { team: "a b" } }),
    schema: "namespaces.matchLabels: one of its values must be a label value",
    apiServer: ["spec.namespaces.matchLabels.team", "should match"],
  },
  {
    what: "a label value of 64 characters",
    spec: withNamespaces({ matchLabels: { team: "a".repeat(64) } }),
    schema: "namespaces.matchLabels: one of its values must be a label value",
    apiServer: ["spec.namespaces.matchLabels.team: Too long: may not be more than 63"],
  },
  {
    what: "values with Exists",
    spec: withExpression({ operator: "Exists", values: ["a"] }),
    schema: "namespaces.matchExpressions[0]: must have values with In and NotIn",
    apiServer: ["spec.namespaces.matchExpressions[0]", "none with Exists and DoesNotExist"],
  },
  {
    what: "In without values",
    spec: withExpression({ operator: "In" }),
    schema: "namespaces.matchExpressions[0]: must have values with In and NotIn",
    apiServer: ["spec.namespaces.matchExpressions[0]", "must have values with In and NotIn"],
  },
  {
    what: "NotIn with no values",
    spec: withExpression({ operator: "NotIn", values: [] }),
    schema: "namespaces.matchExpressions[0]: must have values with In and NotIn",
    apiServer: ["spec.namespaces.matchExpressions[0]", "must have values with In and NotIn"],
  },
  {
    what: "an operator that there is not",
    spec: withExpression({ operator: "Gt", values: ["1"] }),
    schema: "namespaces.matchExpressions[0].operator: must be In, NotIn, Exists or DoesNotExist",
    apiServer: ['spec.namespaces.matchExpressions[0].operator: Unsupported value: "Gt"'],
  },
  {
    what: "65 requirements",
    spec: withNamespaces({ matchExpressions: times(65, { key: "team", operator: "Exists" }) }),
    schema: "namespaces.matchExpressions: has too many entries: at most 64",
    apiServer: ["spec.namespaces.matchExpressions: Too many: 65: must have at most 64 items"],
  },
  {
    what: "257 values",
    spec: withExpression({ operator: "In", values: times(257, "a") }),
    schema: "namespaces.matchExpressions[0].values: has too many entries: at most 256",
    apiServer: ["spec.namespaces.matchExpressions[0].values: Too many: 257: must have at most 256 items"],
  },
  {
    what: "a key of 318 characters",
    spec: withNamespaces({ matchExpressions: [{ key: "a".repeat(318), operator: "Exists" }] }),
    schema: "namespaces.matchExpressions[0].key: must be a label key",
    apiServer: ["spec.namespaces.matchExpressions[0].key: Too long: may not be more than 317"],
  },
  {
    what: "an empty use",
    spec: { address: ADDRESS, use: [] },
    schema: "use: must name pull, build or both",
    apiServer: ["spec.use", "should have at least 1 items"],
  },
  {
    what: "a use that there is not",
    spec: { address: ADDRESS, use: ["push"] },
    schema: "use[0]: must be pull or build",
    apiServer: ['spec.use[0]: Unsupported value: "push"'],
  },
  {
    what: "17 uses",
    spec: { address: ADDRESS, use: times(17, "pull") },
    schema: "use: has too many entries: at most 16",
    apiServer: ["spec.use: Too many: 17: must have at most 16 items"],
  },
  {
    what: "a pull secret's name that cannot be one",
    spec: { address: ADDRESS, secretName: "My_Secret" },
    schema: "secretName: must be a Secret's name",
    apiServer: ["spec.secretName", "should match"],
  },
  {
    what: "a pull secret's name of 254 characters",
    spec: { address: ADDRESS, secretName: "a".repeat(254) },
    schema: "secretName: is too long: at most 253 characters",
    apiServer: ["spec.secretName: Too long: may not be more than 253"],
  },
  {
    what: "257 hosts",
    spec: { address: "*.example.com", hosts: times(257, "a.example.com") },
    schema: "hosts: has too many entries: at most 256",
    apiServer: ["spec.hosts: Too many: 257: must have at most 256 items"],
  },
  {
    what: "a password in a host",
    spec: { address: "*.example.com", hosts: ["user:made-up@a.example.com"] },
    schema: "hosts[0]: not a registry address: it holds an @",
    apiServer: ["spec.hosts[0]", "credentials do not belong into an address"],
  },
  // Without strict validation, the API server prunes what it does not know, and Pullpass never sees it.
  {
    what: "a field that there is not",
    spec: { address: ADDRESS, namespace: "team-a" },
    schema: "namespace: unknown key; did you mean namespaces?",
    apiServer: ['strict decoding error: unknown field "spec.namespace"'],
  },
  {
    what: "a password",
    spec: withAuth({ ...BASIC_AUTH, password: "made-up" }),
    schema: "auth.password: unknown key",
    apiServer: ['strict decoding error: unknown field "spec.auth.password"'],
  },
  {
    what: "a Secret of another namespace",
    spec: withAuth({ type: "BasicAuth", secretRef: { ...secretRef, namespace: "kube-system" } }),
    schema: "auth.secretRef.namespace: unknown key",
    apiServer: ['strict decoding error: unknown field "spec.auth.secretRef.namespace"'],
  },
];

/** The API server accepts them, because CEL cannot say what is wrong; Pullpass reports them as InvalidSpec. */
export const INVALID_SPEC: readonly RefusedCase[] = [
  {
    what: "a Token for Docker Hub without a user name",
    spec: { address: "docker.io", auth: TOKEN },
    schema: "auth.username: is missing: Docker Hub refuses a token without it",
  },
  {
    what: "a host that cannot be one",
    spec: { address: "-registry.example.com" },
    schema: "address: not a registry address",
  },
  {
    what: "a port that is not a number",
    spec: { address: "registry.example.com:https" },
    schema: "address: not a registry address",
  },
  {
    what: "a scheme that registries do not speak",
    spec: { address: "ftp://registry.example.com" },
    schema: "address: not a registry address: the scheme",
  },
  {
    what: "a control character in a user name",
    spec: withAuth({ ...TOKEN, username: "us\ter" }),
    schema: "auth.username: contains a control character",
  },
];
