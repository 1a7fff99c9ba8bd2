/** Configurations, and pods whose images, annotations and pull secrets have to do with them. */
import fc from "fast-check";

export interface AnyRegistry {
  readonly name: string;
  readonly address: string;
  readonly secretName?: string | undefined;
  readonly use: readonly string[];
  readonly namespaces?: object | undefined;
}

export interface AnyCase {
  readonly registries: readonly AnyRegistry[];
  readonly pods: readonly AnyPod[];
}

export interface AnyPod {
  /** One of {@link NAMESPACE_LABELS}. */
  readonly namespace: string;
  readonly pod: object;
}

/** By the end of the namespace's name. The last one is opted out. */
export const NAMESPACE_LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  plain: { "pullpass.dev/inject": "enabled" },
  team: { "pullpass.dev/inject": "enabled", team: "a", "example.com/tier": "" },
  other: { "pullpass.dev/inject": "enabled", team: "b", env: "prod" },
  out: { "pullpass.dev/inject": "true", team: "a" },
};

const HOSTS = [
  "registry.example.com",
  "registry.example.com:5000",
  "docker.io",
  "index.docker.io",
  "localhost",
  "localhost:5000",
  "[::1]:5000",
  "Registry",
  "under_score.example.com",
  "*.example.com",
  "*.example.com:5000",
  "*",
  "*:5000",
  "reg*.example.*",
  "a*-*b.example.com",
  "[fe80::1]:443",
] as const;
const COMPONENTS = ["team", "team-a", "team-abc", "a", "library", "x__y", "v1.2"] as const;

const path = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...COMPONENTS), { maxLength })
    .map((components) => components.map((component) => `/${component}`).join(""));

const requirement = fc.oneof(
  fc.record({
    key: fc.constantFrom("team", "env", "example.com/tier"),
    operator: fc.constantFrom("In", "NotIn"),
    values: fc.uniqueArray(fc.constantFrom("a", "b", "", "prod"), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    key: fc.constantFrom("team", "env", "example.com/tier"),
    operator: fc.constantFrom("Exists", "DoesNotExist"),
  }),
);
const selector = fc.record(
  {
    matchLabels: fc.dictionary(
      fc.constantFrom("team", "env", "example.com/tier"),
      fc.constantFrom("a", "b", ""),
      {
        maxKeys: 2,
      },
    ),
    matchExpressions: fc.array(requirement, { maxLength: 3 }),
  },
  { requiredKeys: [] },
);

const registriesAt = (hosts: readonly string[]): fc.Arbitrary<readonly AnyRegistry[]> =>
  fc
    .array(
      fc.record(
        {
          address: fc.tuple(fc.constantFrom(...hosts), path(4)).map(([host, rest]) => `${host}${rest}`),
          secretName: fc.option(fc.constantFrom("shared", "regcred"), { nil: undefined, freq: 4 }),
          use: fc.constantFrom(["pull"], ["pull", "build"], ["pull", "build"], ["build"]),
          namespaces: fc.option(selector, { nil: undefined, freq: 3 }),
        },
        { requiredKeys: ["address", "secretName", "use"] },
      ),
      { minLength: 1, maxLength: 12 },
    )
    .map((entries) => entries.map((entry, index) => ({ name: `r${index.toString()}`, ...entry })));

const DIGESTS = [
  `@sha256:${"0123456789abcdef".repeat(4)}`,
  `@sha512:${"0".repeat(128)}`,
  `@sha256:${"A".repeat(64)}`,
  "@sha256:short",
  `@md5:${"0".repeat(32)}`,
] as const;
const suffix = fc.constantFrom(
  "",
  "",
  "",
  ":v1",
  ":V1_x.y-z",
  `:${"t".repeat(128)}`,
  `:${"t".repeat(129)}`,
  ":",
  ...DIGESTS,
);

/** What an address covers, nearly covers, or has nothing to do with. */
function imageFor(addresses: readonly string[]): fc.Arbitrary<string> {
  const covered = fc
    .tuple(fc.constantFrom(...addresses), fc.constantFrom("x", "a1", "", "a.b"), path(3), suffix)
    .map(([address, run, rest, end]) => {
      const name = `${address.replaceAll("*", run)}${rest}`;
      return `${name.includes("/") ? name : `${name}/app`}${end}`;
    });
  const hub = fc
    .tuple(
      fc.constantFrom("", "docker.io/", "index.docker.io/", "library/", "docker.io/library/"),
      path(2),
      suffix,
    )
    .map(([host, rest, end]) => `${host}${rest === "" ? "nginx" : rest.slice(1)}${end}`);
  const near = fc
    .tuple(covered, fc.constantFrom("capital", "port", "longer", "underscore", "deep"))
    .map(([image, how]) => {
      if (how === "capital") return image.replace(/\/(\w)/, (_, first: string) => `/${first.toUpperCase()}`);
      if (how === "port")
        return image.replace(/^[^/]*/, (host) => (host.includes(":") ? "localhost" : `${host}:5000`));
      if (how === "longer") return image.replace(/\/?$/, "c");
      if (how === "underscore") return image.replace("/", "_/");
      return `${image.replace(/[:@].*$/, "")}/${"deep/".repeat(60)}app`;
    });
  const odd = fc.constantFrom(
    "a".repeat(64),
    "0123456789abcdef".repeat(4),
    `docker.io/library/${"0123456789abcdef".repeat(4)}`,
    "-bad/image",
    "a..b/image",
    "a_b.c/image",
    "a_b/image",
    "image:",
    "image@",
    "http://registry.example.com/app",
    "é/app",
    "É.com/app",
    `${"h".repeat(260)}.example.com/app`,
    `registry.example.com/${"p".repeat(255)}`,
    `registry.example.com/${"p".repeat(256)}`,
    `under_score.example.com/${"p".repeat(240)}`,
  );
  return fc.oneof(
    { weight: 6, arbitrary: covered },
    { weight: 2, arbitrary: hub },
    { weight: 2, arbitrary: near },
    { weight: 1, arbitrary: odd },
  );
}

/** Blanks, doubles, empty ones, names that there are not. */
function nameList(names: readonly string[]): fc.Arbitrary<string> {
  const entry = fc.constantFrom(...names, ...names, "*", "", " ", "nobody's", `\t${String(names[0])} `);
  return fc.oneof(
    { weight: 9, arbitrary: fc.array(entry, { maxLength: 4 }).map((entries) => entries.join(",")) },
    // More than are read. Doubles in a list of hundreds stay where the policy writes it.
    {
      weight: 1,
      arbitrary: fc
        .nat(2100)
        .map((count) =>
          [
            ...Array.from({ length: count }, (_, index) => `x${index.toString()}`),
            String(names[0]),
            "*",
          ].join(","),
        ),
    },
  );
}

function podFor(all: readonly AnyRegistry[]): fc.Arbitrary<object> {
  const image = imageFor(all.map(({ address }) => address));
  const names = all.map(({ name }) => name);
  const secrets = [...new Set(all.map(({ name, secretName = `pullpass-${name}` }) => secretName)), "own"];
  const annotations = fc.record(
    {
      "pullpass.dev/registries": nameList(names),
      "pullpass.dev/injected": nameList(names),
      "example.com/note": fc.oneof(
        fc.string(),
        fc.constantFrom(...[87_000, 87_340, 87_400].map((size) => "n".repeat(size))),
      ),
      "kubernetes.io/config.mirror": fc.constantFrom("", "x"),
    },
    { requiredKeys: [] },
  );
  return fc
    .record({
      images: fc.array(image, { minLength: 1, maxLength: 4 }),
      initImages: fc.array(image, { maxLength: 2 }),
      volumes: fc.array(image, { maxLength: 2 }),
      pullSecrets: fc.option(
        fc.array(
          fc.oneof(
            fc.constantFrom(...secrets).map((name) => ({ name })),
            fc.constant({}),
          ),
          { maxLength: 3 },
        ),
        { nil: undefined },
      ),
      annotations: fc.option(annotations, { nil: undefined }),
      inject: fc.constantFrom(undefined, undefined, undefined, "enabled", "disabled", ""),
      isSidecar: fc.boolean(),
    })
    .map((parts) => {
      const { images, initImages, volumes, pullSecrets, inject, isSidecar } = parts;
      const { "kubernetes.io/config.mirror": mirror, ...others } = parts.annotations ?? {};
      // One in so many is enough, and the API server asks more of a mirror pod.
      const isMirror = mirror === "x" && images.length === 4;
      return {
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
          name: "pod",
          ...(inject !== undefined && { labels: { "pullpass.dev/inject": inject } }),
          ...(parts.annotations && {
            annotations: { ...others, ...(isMirror && { "kubernetes.io/config.mirror": mirror }) },
          }),
        },
        spec: {
          automountServiceAccountToken: false,
          ...(isMirror && { nodeName: "somewhere" }),
          containers: images.map((each, index) => ({ name: `c${index.toString()}`, image: each })),
          initContainers: initImages.map((each, index) => ({
            name: `i${index.toString()}`,
            image: each,
            ...(isSidecar && { restartPolicy: "Always" }),
          })),
          volumes: [
            { name: "empty", emptyDir: {} },
            ...volumes.map((each, index) => ({ name: `v${index.toString()}`, image: { reference: each } })),
          ],
          ...(pullSecrets && { imagePullSecrets: pullSecrets }),
        },
      };
    });
}

const PODS_EACH = 50;

const caseAt = (hosts: readonly string[]): fc.Arbitrary<AnyCase> =>
  registriesAt(hosts).chain((all) =>
    fc.record({
      registries: fc.constant(all),
      pods: fc.array(
        fc.record({
          namespace: fc.constantFrom("plain", "plain", "team", "team", "other", "other", "out"),
          pod: podFor(all),
        }),
        { minLength: PODS_EACH, maxLength: PODS_EACH },
      ),
    }),
  );

export const anyCase = caseAt(HOSTS);
/** Where no host has a `*`, a condition spares most pods the policy. */
export const anyCaseWithCondition = caseAt(HOSTS.filter((host) => !host.includes("*")));
