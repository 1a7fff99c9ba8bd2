import { describe, expect, it } from "vitest";
import { loadConfiguration } from "../../src/config/load.ts";
import { InvalidConfigurationError } from "../../src/config/diagnostics.ts";
import { loadText, diagnosticsIn } from "./load-text.ts";

/** One registry with this `auth`. */
function withAuth(auth: string): string {
  return `registries: [{ name: a, address: a.com, auth: ${auth} }]`;
}

describe("loadConfiguration", () => {
  it("README example", () => {
    const [registry] = loadText(`
registries:
  - name: team-a
    displayName: My Org Private Registry
    address: https://registry.example.com/v2/team-a/
    auth:
      type: BasicAuth
      username: my_username
      passwordFrom: { file: credentials/team-a }
    namespaces: { matchLabels: { team: a } }
`).registries;
    expect(registry).toMatchObject({
      name: "team-a",
      displayName: "My Org Private Registry",
      address: { text: "registry.example.com/team-a" },
      secretName: "pullpass-team-a",
      use: ["pull", "build"],
      namespaces: { matchLabels: { team: "a" } },
      source: { kind: "basic", username: "my_username", password: { kind: "file" } },
      list: "registries",
      location: { file: "pullpass.yaml", line: 3, path: ["registries", 0] },
    });
  });

  it.each([
    [
      "BasicAuth, username: u, passwordFrom: { env: V }",
      { kind: "basic", password: { kind: "environment", variable: "V" } },
    ],
    [
      "BasicAuth, username: u, password: made-up",
      { kind: "basic", username: "u", password: { kind: "inline" } },
    ],
    ["Token, tokenFrom: { file: /run/t }", { kind: "token", username: undefined, token: { path: "/run/t" } }],
    ["Token, username: u, token: made-up", { kind: "token", username: "u", token: { kind: "inline" } }],
    [
      "DockerConfig, file: /root/.docker/config.json",
      { kind: "docker-config", path: "/root/.docker/config.json" },
    ],
    ["Secret, name: s", { kind: "secret", name: "s", namespace: undefined }],
    ["Secret, name: s, namespace: n", { kind: "secret", name: "s", namespace: "n" }],
  ])("reads auth of type %s", (auth, source) => {
    expect(loadText(withAuth(`{ type: ${auth} }`)).registries[0]?.source).toMatchObject(source);
  });

  it("leaves the Secret to an admin where a registry has no auth", () => {
    const text = "registries: [{ name: a, address: a.com, use: [pull], secretName: theirs, hosts: [b.com] }]";
    expect(loadText(text).registries[0]).toMatchObject({
      source: undefined,
      secretName: "theirs",
      use: ["pull"],
      hosts: [{ text: "b.com" }],
    });
  });

  it("keeps the build secret's name for the build secret, and leaves a registry named build alone", () => {
    expect(diagnosticsIn("registries: [{ name: a, address: a.com, secretName: pullpass.build }]")).toEqual([
      "pullpass.yaml:1: registries[0]: Secret pullpass.build holds what builds use; give the registry another secretName",
    ]);
    const [registry] = loadText("registries: [{ name: build, address: a.com }]").registries;
    expect(registry?.secretName).toBe("pullpass-build");
  });

  it("starts relative paths at the directory of the file", () => {
    const text = withAuth("{ type: DockerConfig, file: config.json }");
    const { registries } = loadConfiguration([{ path: "/etc/pullpass/pullpass.yaml", text }]);
    expect(registries[0]?.source).toEqual({ kind: "docker-config", path: "/etc/pullpass/config.json" });
  });

  it("joins the documents of all files, in their order", () => {
    const one = "registries: [{ name: a, address: a.com }]\n---\nregistries: [{ name: b, address: b.com }]\n";
    const two =
      "builders: [{ name: k, images: [k], dockerConfigPath: /k }]\nserviceAccounts: { attach: [default] }\n";
    const three = "# nothing but a comment\n---\nprivateRegistries: [u:made-up@c.com]";
    const files = [one, two, three].map((text, index) => ({ path: `${index.toString()}.yaml`, text }));
    const { registries, builders, attachedServiceAccounts } = loadConfiguration(files);
    expect(registries.map(({ name }) => name)).toEqual(["a", "b", "c-com"]);
    expect(builders).toEqual([{ name: "k", images: ["k"], dockerConfigPath: "/k" }]);
    expect(attachedServiceAccounts).toEqual(["default"]);
  });

  it("reads JSON, anchors and merge keys", () => {
    expect(loadText('{"registries":[{"name":"a","address":"a.com"}]}').registries).toHaveLength(1);
    const merged = "registries:\n  - &a { name: a, address: a.com, use: [pull] }\n  - { <<: *a, name: b }\n";
    expect(loadText(merged).registries.map(({ name, use }) => [name, use])).toEqual([
      ["a", ["pull"]],
      ["b", ["pull"]],
    ]);
  });
});

describe("the errors of a configuration", () => {
  it.each([
    ["registries: { a: b }", "pullpass.yaml:1: registries: must be a list, not a mapping"],
    ["- a", "pullpass.yaml:1: must be a mapping, not a list"],
    ["registry: []", "pullpass.yaml:1: registry: unknown key"],
    ["registries:\n  - name: a\n", "pullpass.yaml:2: registries[0].address: is missing"],
    [
      "registries:\n  - name: A\n    address: a.com\n",
      "pullpass.yaml:2: registries[0].name: must be a DNS label",
    ],
    [
      "registries:\n  - name: 1\n    address: a.com\n",
      "pullpass.yaml:2: registries[0].name: must be a text, not a number; quote it",
    ],
    [
      "registries:\n  - name: a\n    address: a b\n",
      "pullpass.yaml:3: registries[0].address: not a registry address: it holds",
    ],
    [
      "registries:\n- name: a\n  address: a.com\n  use: [push]\n",
      "pullpass.yaml:4: registries[0].use[0]: expected one of",
    ],
    [
      "registries:\n- name: a\n  address: a.com\n  use: []\n",
      "pullpass.yaml:4: registries[0].use: must name pull, build or both",
    ],
    [
      withAuth("{ type: Basic }"),
      "pullpass.yaml:1: registries[0].auth.type: type must be one of BasicAuth, Token",
    ],
    [
      withAuth("{ type: Token }"),
      "pullpass.yaml:1: registries[0].auth: must have one of token and tokenFrom",
    ],
    [
      withAuth("{ type: Token, tokenFrom: {} }"),
      "pullpass.yaml:1: registries[0].auth.tokenFrom: must have one of file and env",
    ],
    [
      withAuth("{ type: BasicAuth, username: 'a:b', password: x }"),
      "pullpass.yaml:1: registries[0].auth.username: must not hold a colon",
    ],
    [
      "registries:\n- name: a\n  address: a.com\n  namespaces: { matchLabels: { a b: c } }",
      "pullpass.yaml:4: registries[0].namespaces.matchLabels",
    ],
    ["a: 1\na: 2\n", "pullpass.yaml:2: YAML: a key stands twice in one mapping"],
    ["registries:\n\t- a", "pullpass.yaml:2: YAML: "],
    ["a: *b", "pullpass.yaml:1: YAML: an alias without its anchor"],
    ["registries: [", "pullpass.yaml:1: YAML: "],
    ["registries: !secret x", "pullpass.yaml:1: YAML: a tag is not known"],
    ["[".repeat(20_000), "pullpass.yaml:1: YAML: nested more than 200 levels deep"],
    ["[".repeat(20_000) + "]".repeat(20_000), "pullpass.yaml:1: YAML: nested more than 200 levels deep"],
    ["", "pullpass.yaml: is empty"],
  ])("refuses text %# of the table", (text, diagnostic) => {
    expect(diagnosticsIn(text)[0] ?? "").toContain(diagnostic);
  });

  it("come all at once, from every list and file", () => {
    const text = `registries:
  - name: a
    address: a.com
    auth: { type: BasicAuth, username: "a:b", pasword: made-up }
  - { name: b, address: b.com, secret: s }
  - { name: b, address: "*", auth: { type: Secret, name: s, namespace: N } }
  - { name: c, address: c.com }
  - { name: c, address: d.com }
privateRegistries: ["no password", { host: d.com, user: u }]
connections: [{ kind: registry }, { kind: s3 }]
`;
    expect(diagnosticsIn(text)).toEqual([
      "pullpass.yaml:4: registries[0].auth.username: must not hold a colon",
      "pullpass.yaml:4: registries[0].auth.pasword: unknown key",
      "pullpass.yaml:4: registries[0].auth: must have one of password and passwordFrom",
      "pullpass.yaml:5: registries[1].secret: unknown key",
      "pullpass.yaml:6: registries[2].auth.namespace: must be a DNS label: at most 63 lower-case letters, digits and -, none of them at an end",
      "pullpass.yaml:8: registries[4]: a registry named c stands at pullpass.yaml:7 already",
      "pullpass.yaml:9: privateRegistries[0]: must be user:password@host[:port]: there is no @",
      "pullpass.yaml:9: privateRegistries[1].password: is missing",
      "pullpass.yaml:10: connections[0].name: is missing",
      "pullpass.yaml:10: connections[0].schema: is missing",
    ]);
  });

  it("tell of two registries with one name, or with one Secret to write", () => {
    const auth = "auth: { type: Secret, name: x }";
    const one = `registries:\n- { name: a, address: a.com, ${auth} }\n- { name: b, address: b.com, secretName: s, ${auth} }\n`;
    const two = `registries: [{ name: c, address: c.com, secretName: s, ${auth} }, { name: a, address: d.com, ${auth} }]`;
    try {
      loadConfiguration([
        { path: "one.yaml", text: one },
        { path: "two.yaml", text: two },
      ]);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidConfigurationError);
      expect((error as Error).message.split("\n")).toEqual([
        "two.yaml:1: registries[0]: the registry at one.yaml:3 writes Secret s already",
        "two.yaml:1: registries[1]: a registry named a stands at one.yaml:2 already",
      ]);
    }
  });
});

it.each(["/", "k", "/a/../b", "/a:b"])(
  "refuses the directory %s for a builder, at which no Secret can be mounted",
  (path) => {
    expect(diagnosticsIn(`builders: [{ name: k, images: [k], dockerConfigPath: "${path}" }]`)).toEqual([
      expect.stringContaining("builders[0].dockerConfigPath: must be an absolute path below the root"),
    ]);
  },
);
