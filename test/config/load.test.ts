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
      source: { kind: "password", username: "my_username", secret: { kind: "file" } },
      list: "registries",
    });
    expect(registry?.locate(["auth", "username"])).toEqual({
      file: "pullpass.yaml",
      line: 8,
      path: ["registries", 0, "auth", "username"],
      entryName: "team-a",
    });
  });

  it.each([
    [
      "BasicAuth, username: u, passwordFrom: { env: V }",
      { kind: "password", secret: { kind: "environment", variable: "V" } },
    ],
    [
      "BasicAuth, username: u, password: made-up",
      { kind: "password", username: "u", secret: { kind: "inline" } },
    ],
    [
      "Token, tokenFrom: { file: /run/t }",
      { kind: "token", username: undefined, secret: { path: "/run/t" } },
    ],
    ["Token, username: u, token: made-up", { kind: "token", username: "u", secret: { kind: "inline" } }],
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
      "pullpass.yaml:1: registries[0] (a).secretName: Secret pullpass.build is for builders; choose another name",
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
    ["registry: []", "pullpass.yaml:1: registry: unknown key; did you mean registries?"],
    ["registries:\n  - name: a\n", "pullpass.yaml:2: registries[0] (a).address: is missing"],
    [
      "registries:\n  - name: A\n    address: a.com\n",
      "pullpass.yaml:2: registries[0].name: must be a DNS label: lower-case letters, digits and -",
    ],
    [
      "registries:\n  - name: 1\n    address: a.com\n",
      "pullpass.yaml:2: registries[0].name: must be a string, not a number; quote it",
    ],
    [
      "registries:\n  - name: a\n    address: a b\n",
      "pullpass.yaml:3: registries[0] (a).address: not a registry address: it holds",
    ],
    [
      "registries:\n- name: a\n  address: a.com\n  use: [push]\n",
      "pullpass.yaml:4: registries[0] (a).use[0]: must be pull or build",
    ],
    [
      "registries:\n- name: a\n  address: a.com\n  use: []\n",
      "pullpass.yaml:4: registries[0] (a).use: must name pull, build or both",
    ],
    [
      withAuth("{ type: Basic }"),
      "pullpass.yaml:1: registries[0] (a).auth.type: must be one of BasicAuth, Token",
    ],
    [
      withAuth("{ type: Token }"),
      "pullpass.yaml:1: registries[0] (a).auth: must have one of token and tokenFrom",
    ],
    [
      withAuth("{ type: Token, tokenFrom: {} }"),
      "pullpass.yaml:1: registries[0] (a).auth.tokenFrom: must have one of file and env",
    ],
    [
      withAuth("{ type: BasicAuth, username: 'a:b', password: x }"),
      "pullpass.yaml:1: registries[0] (a).auth.username: contains a colon",
    ],
    [
      "registries:\n- name: a\n  address: a.com\n  namespaces: { matchLabels: { a b: c } }",
      "pullpass.yaml:4: registries[0] (a).namespaces.matchLabels: one of its keys must be a label key",
    ],
    ["a: 1\na: 2\n", "pullpass.yaml:2: YAML: the same key twice in one mapping"],
    ["registries:\n\t- a", "pullpass.yaml:2: YAML: "],
    ["a: *b", "pullpass.yaml:1: YAML: an alias without an anchor; a string that begins with * needs quotes"],
    ["registries: [", "pullpass.yaml:1: YAML: "],
    [
      "registries: !secret x",
      "pullpass.yaml:1: YAML: an unknown tag; a string that begins with ! needs quotes",
    ],
    ["[".repeat(20_000), "pullpass.yaml:1: YAML: nested more than 200 levels deep"],
    ["[".repeat(20_000) + "]".repeat(20_000), "pullpass.yaml:1: YAML: nested more than 200 levels deep"],
    ["", "pullpass.yaml: is empty"],
  ])("refuses %j", (text, diagnostic) => {
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
      "pullpass.yaml:4: registries[0] (a).auth.username: contains a colon",
      "pullpass.yaml:4: registries[0] (a).auth.pasword: unknown key; did you mean password?",
      "pullpass.yaml:4: registries[0] (a).auth: must have one of password and passwordFrom",
      "pullpass.yaml:5: registries[1] (b).secret: unknown key; did you mean secretName?",
      "pullpass.yaml:6: registries[2] (b).auth.namespace: must be a DNS label: lower-case letters, digits and -, none of them at an end",
      "pullpass.yaml:8: registries[4] (c).name: the registry at pullpass.yaml:7 has this name already",
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
        "two.yaml:1: registries[0] (c): the registry at one.yaml:3 writes Secret s already",
        "two.yaml:1: registries[1] (a).name: the registry at one.yaml:2 has this name already",
      ]);
    }
  });
});

describe("an error says what to do where", () => {
  it.each([
    [
      "auth is empty",
      "registries:\n- name: a\n  address: a.com\n  auth:\n  type: Token\n  token: made-up\n",
      [
        "pullpass.yaml:4: registries[0] (a).auth: is empty; indent the lines below that belong to it",
        "pullpass.yaml:5: registries[0] (a).type: unknown key; check the indentation",
        "pullpass.yaml:6: registries[0] (a).token: unknown key; check the indentation",
      ],
    ],
    [
      "a * is not quoted",
      "registries:\n- name: a\n  address: *.example.com\n- name: b\n  address: *.example.net:5000/team\n",
      [
        "pullpass.yaml:3: YAML: an alias without an anchor; a string that begins with * needs quotes",
        "pullpass.yaml:5: YAML: an alias without an anchor; a string that begins with * needs quotes",
      ],
    ],
    [
      "a * alone is not quoted",
      "registries:\n- name: a\n  address: *\n",
      ["pullpass.yaml:3: YAML: not a valid alias; a string that begins with * needs quotes"],
    ],
    [
      "there is an email",
      "registries: [{ name: a, address: a.com, auth: { type: Token, token: made-up, email: a@b.com } }]",
      ["pullpass.yaml:1: registries[0] (a).auth.email: unknown key; email is not needed, remove it"],
    ],
    [
      "a name is too long",
      `registries: [{ name: ${"a".repeat(64)}, address: a.com }]`,
      ["pullpass.yaml:1: registries[0].name: is too long: at most 63 characters"],
    ],
    [
      "a Secret's name is too long",
      `registries: [{ name: a, address: a.com, secretName: ${"a".repeat(254)} }]`,
      ["pullpass.yaml:1: registries[0] (a).secretName: is too long: at most 253 characters"],
    ],
    [
      "file is the content of a file",
      `registries: [{ name: a, address: a.com, auth: { type: DockerConfig, file: '{"auths":{}}' } }]`,
      [
        "pullpass.yaml:1: registries[0] (a).auth.file: must be a path without { and line breaks: not the content of the file, and no ${VARIABLE}",
      ],
    ],
    [
      "file is the content of a file with several lines",
      `registries: [{ name: a, address: a.com, auth: { type: Token, tokenFrom: { file: "made-up\\nmade-up" } } }]`,
      [
        "pullpass.yaml:1: registries[0] (a).auth.tokenFrom.file: must be a path without { and line breaks: not the content of the file, and no ${VARIABLE}",
      ],
    ],
    [
      "env is no name",
      "registries: [{ name: a, address: a.com, auth: { type: Token, tokenFrom: { env: made-up } } }]",
      [
        "pullpass.yaml:1: registries[0] (a).auth.tokenFrom.env: must be the name of an environment variable, not its value",
      ],
    ],
    [
      "a password has two lines",
      'registries: [{ name: a, address: a.com, auth: { type: Token, token: "made-up\\nmade-up" } }]',
      [
        "pullpass.yaml:1: registries[0] (a).auth.token: contains a control character, such as a line break or a tab",
      ],
    ],
    [
      "a token of Docker Hub lacks the account's name",
      "registries:\n- name: a\n  address: https://index.docker.io/v1\n  auth: { type: Token, tokenFrom: { env: HUB } }\n",
      [
        "pullpass.yaml:4: registries[0] (a).auth.username: is missing: Docker Hub refuses a token without it; it is the account that the token belongs to, or the organization for an organization's token",
      ],
    ],
    [
      "a list is a long string",
      "registries: [{ name: a, address: a.com, use: pull and build and more }]",
      ["pullpass.yaml:1: registries[0] (a).use: must be a list, not a string"],
    ],
    [
      "a list is too long",
      `registries: [{ name: a, address: "*.a.com", hosts: [${"x.a.com, ".repeat(257)}] }]`,
      ["pullpass.yaml:1: registries[0] (a).hosts: has too many entries: at most 256"],
    ],
    [
      "a label's value is no string, or too long",
      `registries: [{ name: a, address: a.com, namespaces: { matchLabels: { made-up: true, b: ${"a".repeat(64)} } } }]`,
      [
        "pullpass.yaml:1: registries[0] (a).namespaces.matchLabels: one of its values must be a string, not true or false; quote it",
        "pullpass.yaml:1: registries[0] (a).namespaces.matchLabels: one of its values must be a label value: at most 63 letters, digits, -, _ and .",
      ],
    ],
  ])("%s", (_title, text, diagnostics) => {
    expect(diagnosticsIn(text)).toEqual(diagnostics);
  });

  it("accepts a token of Docker Hub with the account's name", () => {
    const auth = "auth: { type: Token, username: acme, token: made-up }";
    expect(diagnosticsIn(`registries: [{ name: a, address: docker.io, ${auth} }]`)).toEqual([]);
  });
});

describe("an unknown key", () => {
  it.each([
    ["pasword", "pasword: unknown key; did you mean password?"],
    ["password_from", "password_from: unknown key; did you mean passwordFrom?"],
    ["PASSWORD", "PASSWORD: unknown key; did you mean password?"],
    ["user", "user: unknown key; did you mean username?"],
    ["tokenFrom", "tokenFrom: unknown key; check the indentation"],
    ["matchLabels", "matchLabels: unknown key; check the indentation"],
  ])("%s: %s", (key, message) => {
    const text = `registries: [{ name: a, address: a.com, auth: { type: BasicAuth, username: u, password: p, ${key}: x } }]`;
    expect(diagnosticsIn(text)).toEqual([`pullpass.yaml:1: registries[0] (a).auth.${message}`]);
  });

  it.each([
    "hunter2: x",
    "correcthorse: x",
    "password1",
    '"u:made-up@a.com": x',
    `${"k".repeat(100_000)}: x`,
  ])("that may be a password is not shown: %s", (member) => {
    const text = `registries: [{ name: a, address: a.com, auth: { type: BasicAuth, username: u, password: p, ${member} } }]`;
    expect(diagnosticsIn(text)).toEqual([
      "pullpass.yaml:1: registries[0] (a).auth: unknown key, not shown because it may be a password; known keys are type, username, password, passwordFrom",
    ]);
  });

  it("of other tools becomes ours", () => {
    expect(diagnosticsIn("registries: [{ name: a, address: a.com, url: x }]")).toEqual([
      "pullpass.yaml:1: registries[0] (a).url: unknown key; did you mean address?",
    ]);
  });
});

it.each(["/", "k", "/a/../b", "/a:b"])(
  "refuses the directory %s for a builder, at which no Secret can be mounted",
  (path) => {
    expect(diagnosticsIn(`builders: [{ name: k, images: [k], dockerConfigPath: "${path}" }]`)).toEqual([
      expect.stringContaining("builders[0] (k).dockerConfigPath: must be an absolute path below the root"),
    ]);
  },
);
