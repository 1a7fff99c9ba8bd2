import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress, globMatches, splitPort } from "../../../src/core/address.ts";
import { renderAdmissionPolicy } from "../../../src/core/admission-policy/render.ts";
import type { JsonObject } from "../../../src/core/kubernetes.ts";
import { globOf } from "../../../src/core/admission-policy/tables.ts";
import type { Registry } from "../../../src/core/registry.ts";
import { makeRegistry } from "../make-registry.ts";

const OPTIONS = { name: "pullpass", excludedNamespaces: ["kube-system", "pullpass"], excludedAccounts: [] };

interface PolicySpec {
  readonly matchConstraints: JsonObject;
  readonly variables: readonly { readonly name: string; readonly expression: string }[];
}

/** Those of the rendered policy, by name. What they do at an API server is in test/cluster/policy-equal.test.ts. */
function variablesOf(registries: readonly Registry[]): Readonly<Record<string, string>> {
  const { policy } = renderAdmissionPolicy(registries, OPTIONS);
  const { variables } = policy["spec"] as PolicySpec;
  return Object.fromEntries(variables.map(({ name, expression }) => [name, expression]));
}

const many = (
  count: number,
  address: (number: number) => string,
  rest: Partial<Registry> = {},
): readonly Registry[] =>
  Array.from({ length: count }, (_, number) =>
    makeRegistry(`team-${number.toString()}`, address(number), rest),
  );

describe("renderAdmissionPolicy", () => {
  it("README example", () => {
    const registries = [
      makeRegistry("hub", "docker.io"),
      makeRegistry("all", "registry.example.com", { use: ["pull"] }),
      makeRegistry("team-a", "registry.example.com/team-a", { secretName: "regcred" }),
      makeRegistry("again", "registry.example.com"),
      makeRegistry("pushes", "registry.example.com/pushes", { use: ["build"] }),
    ];
    const variables = variablesOf(registries);
    expect(variables).toMatchObject({
      registryNames: `// In the order of the configuration; what is called a position below is one in this list.
[
  "hub",
  "all",
  "team-a",
  "again"
]`,
      secretNames: `// The pull secret of each registry.
[
  "hub-creds",
  "all-creds",
  "regcred",
  "again-creds"
]`,
      addresses: `// The most specific first, with the positions of their registries.
{
  "registry.example.com/team-a/": [2],
  "registry.example.com/": [1, 3],
  "docker.io/": [0]
}`,
      secrets: "variables.lacking.map(p, variables.secretNames[p])",
    });
    expect(Object.keys(variables)).not.toContain("globs");
    expect(Object.keys(variables)).not.toContain("labels");
    expect(Object.keys(variables)).not.toContain("shared");
    expect(variablesOf(registries)).toEqual(variables);
  });

  it("has what it takes for selectors, hosts with * and a shared secret only where they are", () => {
    const variables = variablesOf([
      makeRegistry("a", "*.example.com:5000/team", {
        secretName: "shared",
        namespaces: {
          matchLabels: { team: "a" },
          matchExpressions: [
            { key: "env", operator: "NotIn", values: ["prod", ""] },
            { key: "tier", operator: "Exists" },
          ],
        },
      }),
      makeRegistry("b", "*.example.com:5000", { secretName: "shared", namespaces: {} }),
    ]);
    expect(variables).toMatchObject({
      selectors: `// What registries ask of the labels of the namespace.
{
  "team=a,env notin (prod,),tier": [{"key": "team", "operator": "In", "values": "a"}, {"key": "env", "operator": "NotIn", "values": "prod,"}, {"key": "tier", "operator": "Exists"}],
  "": []
}`,
      globs: `// How a host is compared with those that have a *.
[
  {"authority": "*.example.com:5000", "prefix": "", "tail": ".example.com:5000/", "pattern": "^[^.:/]*\\\\.example\\\\.com:5000/"}
]`,
      registryNames: `// In the order of the configuration; what is called a position below is one in this list.
[
  "a",
  "b"
]`,
      secretNames: `// The pull secret of each registry.
[
  "shared",
  "shared"
]`,
      ranks: `// How specific the address of each registry is: the lowest is the most specific.
[
  0,
  1
]`,
      selectorKeys: `// What each registry asks of the labels of the namespace; empty if it is for all.
[
  "team=a,env notin (prod,),tier",
  ""
]`,
      sharing: `// Whether another registry has the same pull secret.
[
  true,
  true
]`,
      shared: `// The positions of registries that have a pull secret in common.
[
  [0, 1]
]`,
    });
    expect(variables["secrets"]).toContain(".distinct()");
  });

  it.each([
    ["registry.example.com", "as written"],
    ["registry:5000", "as written"],
    ["localhost", "as written"],
    ["docker.io/team", "in full"],
    ["*.example.com", "in full"],
  ])("compares images with %s %s", (address, how) => {
    const { references } = variablesOf([makeRegistry("a", address)]);
    expect(references === undefined ? "as written" : "in full").toBe(how);
  });

  it.each([
    [
      "registry.example.com",
      "no path",
      `variables.addresses[?(r.find(r'^[^/]+/[^:@]+') + "/").find(r'^(?:[^/]+/){1}')].orValue([])).flatten()`,
    ],
    [
      "registry.example.com/a/b",
      "a path",
      `[(r.find(r'^[^/]+/[^:@]+') + "/").find(r'^(?:[^/]+/){3}'), (r.find(r'^[^/]+/[^:@]+') + "/").find(r'^(?:[^/]+/){1}')].map(address,`,
    ],
  ])("looks up the longest path first: %s beside one with %s", (address, _path, expression) => {
    const { claimed } = variablesOf([makeRegistry("a", address), makeRegistry("b", "other.example.com")]);
    expect(claimed).toContain(expression);
  });

  it("leaves namespaces alone that have not opted in, or never can", () => {
    const { policy, binding } = renderAdmissionPolicy([], OPTIONS);
    expect((policy["spec"] as PolicySpec).matchConstraints).toMatchObject({
      namespaceSelector: {
        matchLabels: { "pullpass.dev/inject": "enabled" },
        matchExpressions: [
          { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-system", "pullpass"] },
        ],
      },
    });
    expect(binding).toMatchObject({ spec: { policyName: "pullpass" } });
  });

  it("leaves the pods of accounts alone that it is told of, and has no condition otherwise", () => {
    const conditionsOf = (excludedAccounts: readonly string[]): unknown =>
      (renderAdmissionPolicy([], { ...OPTIONS, excludedAccounts }).policy["spec"] as JsonObject)[
        "matchConditions"
      ];
    expect(conditionsOf(["app/strict", "app/other"])).toMatchObject([
      {
        expression:
          '!(request.namespace + "/" + object.spec.?serviceAccountName.orValue("default") in ["app/strict", "app/other"])',
      },
    ]);
    expect(conditionsOf([])).toBeUndefined();
  });

  it("leaves a namespace with more than ten such accounts alone as a whole, and names none of one that it leaves alone anyway", () => {
    const accountsOf = (namespace: string, count: number): readonly string[] =>
      Array.from({ length: count }, (_, index) => `${namespace}/a${index.toString()}`);
    const few = accountsOf("few", 10);
    const excludedAccounts = [...few, ...accountsOf("crowded", 11), ...accountsOf("kube-system", 11)];
    const { policy } = renderAdmissionPolicy([], { ...OPTIONS, excludedAccounts });
    expect(policy["spec"]).toMatchObject({
      matchConstraints: {
        namespaceSelector: { matchExpressions: [{ values: ["kube-system", "pullpass", "crowded"] }] },
      },
      matchConditions: [{ expression: expect.stringContaining(`in ["${few.join('", "')}"])`) as unknown }],
    });
  });

  it("divides what one expression does not hold: after 500 entries, and before 100,000 characters", () => {
    const variables = variablesOf(many(1001, (number) => `registry.example.com/team-${number.toString()}`));
    expect(Object.keys(variables)).toEqual(
      expect.arrayContaining(["secretNames0", "secretNames2", "secretNames", "addresses2", "positions2"]),
    );
    expect(variables["secretNames"]).toBe(
      "variables.secretNames0\n  + variables.secretNames1\n  + variables.secretNames2",
    );
    expect(variables["claimed"]).toContain(
      `variables.addresses0[?(r.find(r'^[^/]+/[^:@]+') + "/").find(r'^(?:[^/]+/){2}')].or(variables.addresses1[?`,
    );
    const long = variablesOf(
      many(500, (number) => `registry.example.com/${"p".repeat(240)}${number.toString()}`),
    );
    expect(Object.keys(long)).toEqual(expect.arrayContaining(["registryNames", "addresses0", "addresses1"]));
    expect(Object.values(long).every(({ length }) => length <= 100_000)).toBe(true);
  });

  it.each([
    [
      "more registries than etcd takes",
      many(12_000, (number) => `registry.example.com/team-${number.toString()}`),
      /would have \d+ bytes, of which etcd takes 1048576/,
    ],
    [
      "more hosts with * than an API server compares",
      many(1500, (number) => `*.registry-${number.toString()}.example.com`),
      /with 1500 hosts with \* a pod of 20 images would cost about \d+, of which an API server allows 1000000/,
    ],
    [
      "a selector that is too long for an expression",
      many(1, () => "docker.io", {
        namespaces: {
          matchExpressions: Array.from({ length: 64 }, () => ({
            key: "team",
            operator: "In" as const,
            values: Array.from({ length: 256 }, () => "t".repeat(63)),
          })),
        },
      }),
      /its expression selectors\d? would have \d+ characters, of which an API server takes 100000/,
    ],
  ])("refuses %s", (_title, registries, message) => {
    expect(() => variablesOf(registries)).toThrow(message);
  });
});

describe("globOf", () => {
  const label = fc.stringMatching(/^[a-f0-9*]{1,4}$/);
  const port = fc.constantFrom("", ":5000", ":443");
  const host = fc
    .array(fc.stringMatching(/^[a-f0-9]{0,4}$/), { minLength: 1, maxLength: 3 })
    .map((labels) => labels.join("."));
  const authority = fc
    .tuple(fc.oneof(host, fc.constantFrom("[::1]", "[fe80::a]", "a_b.c")), port)
    .map(([name, itsPort]) => name + itsPort);

  it("matches what the index matches, and begins and contains what it says", () => {
    const globs = fc
      .tuple(fc.array(label, { minLength: 1, maxLength: 3 }), port)
      .map(([labels, itsPort]) => `${labels.join(".")}${itsPort}`)
      .filter((text) => text.includes("*"))
      .map(parseAddress);
    fc.assert(
      fc.property(globs, authority, fc.constantFrom("", "a", "ab"), (address, written, run) => {
        for (const image of [
          written,
          address.authority.replaceAll("*", run),
          `[${address.host.replaceAll("*", run)}]`,
        ]) {
          const { prefix, tail, pattern } = globOf(address);
          const { host: imageHost, port: imagePort } = splitPort(image);
          const isMatch = imagePort === address.port && globMatches(address.host, imageHost);
          const text = `${image}/app/`;
          // No reference has a host in brackets that holds a dot.
          if (image.startsWith("[") && image.includes(".")) continue;
          expect([image, new RegExp(pattern).test(text)]).toEqual([image, isMatch]);
          if (isMatch) expect(text.startsWith(prefix) && text.includes(tail)).toBe(true);
        }
      }),
      { numRuns: 5000 },
    );
  });
});
