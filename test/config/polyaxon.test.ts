import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ConfiguredRegistry } from "../../src/config/configuration.ts";
import { readCredentials } from "../../src/config/credentials.ts";
import { loadText, diagnosticsIn } from "./load-text.ts";

/** `name address username password`, as it will be written into a Secret. */
function summaryOf(registry: ConfiguredRegistry): readonly string[] {
  const [credential] = readCredentials(registry, {});
  return [registry.name, registry.address.text, credential?.username ?? "", credential?.password ?? ""];
}

function privateRegistry(entry: string): string {
  return `privateRegistries:\n  - ${entry}\n`;
}

describe("privateRegistries", () => {
  it("README example", () => {
    const { registries } = loadText(`
privateRegistries:
  - "my_username:my_password@registry.example.com"
  - "my_username2:my_password2@registry:5000"
  - host: "my.registry.com"
    user: "_json_key"
    password: '{"type": "service_account", "project_id": "my_project", "private_key": "-----BEGIN PRIVATE KEY-----\\nmade-up"}'
  - host: "another.registry.com"
    user: "myname"
    password: "mypassword"
`);
    expect(registries.map(summaryOf)).toEqual([
      ["registry-example-com", "registry.example.com", "my_username", "my_password"],
      ["registry-5000", "registry:5000", "my_username2", "my_password2"],
      [
        "my-registry-com",
        "my.registry.com",
        "_json_key",
        '{"type": "service_account", "project_id": "my_project", "private_key": "-----BEGIN PRIVATE KEY-----\\nmade-up"}',
      ],
      ["another-registry-com", "another.registry.com", "myname", "mypassword"],
    ]);
    expect(registries[0]).toMatchObject({
      secretName: "pullpass-registry-example-com",
      list: "privateRegistries",
    });
  });

  it.each([
    ["a scheme", "https://u:made-up@a.com", ["a-com", "a.com", "u", "made-up"]],
    [
      "an @ and colons in the password",
      "u:m@de:up@a.com:5000/team",
      ["a-com-5000-team", "a.com:5000/team", "u", "m@de:up"],
    ],
    ["percent-encoding", "u%40x:made%2Fup%25@a.com", ["a-com", "a.com", "u@x", "made/up%"]],
    [
      "a dictionary as JSON, as the chart writes it",
      `'{"host":"a.com","user":"u","password":"made-up"}'`,
      ["a-com", "a.com", "u", "made-up"],
    ],
    [
      "username for user",
      "{ host: https://a.com/v2/, username: u, password: made-up }",
      ["a-com", "a.com", "u", "made-up"],
    ],
    ["a host of no letters", "u:made-up@*", ["registry", "*", "u", "made-up"]],
  ])("may have %s", (_title, entry, summary) => {
    expect(
      loadText(
        privateRegistry(entry.startsWith("{") || entry.startsWith("'") ? entry : `"${entry}"`),
      ).registries.map(summaryOf),
    ).toEqual([summary]);
  });

  it.each([
    ["ftp://u:made-up@a.com", "is ambiguous: is this a scheme other than http and https"],
    ["a.com", "must be user:password@host[:port]: there is no @"],
    ["u@a.com", "there is no colon before the last @"],
    ["u@a.com:5000", "there is no colon before the last @"],
    ["u:made%up@a.com", "is ambiguous: a % without two hexadecimal digits"],
    ["u%ff:made-up@a.com", "is ambiguous: a % without two hexadecimal digits of UTF-8"],
    [":made-up@a.com", "the user is empty"],
    ["u%3Ax:made-up@a.com", "the user contains a colon"],
    ["u:@a.com", "the password is empty"],
    ["u:made-up@", "the host is not a registry address: it is empty"],
    ["u:made-up@a b", "the host is not a registry address: it holds white space"],
    ["{not JSON", "must be user:password@host or a mapping of host, user and password"],
  ])("refuses %s by its index", (uri, reason) => {
    const [diagnostic] = diagnosticsIn(privateRegistry(JSON.stringify(uri)));
    expect(diagnostic).toContain("pullpass.yaml:2: privateRegistries[0]: ");
    expect(diagnostic).toContain(reason);
    expect(diagnostic).not.toContain("made-up");
  });

  it.each([
    ["7", "privateRegistries[0]: must be user:password@host or a mapping of host, user and password"],
    [
      "{ host: a.com, user: u, username: u, password: p }",
      "privateRegistries[0]: must have one of user and username",
    ],
    [
      "{ host: a.com, user: u, password: 7 }",
      "privateRegistries[0].password: must be a string, not a number; quote it",
    ],
    [
      "{ host: a.com, user: u, password: p, port: 1 }",
      "privateRegistries[0]: unknown key, not shown because it may be a password; known keys are host, user, username, password",
    ],
    [
      `'{"host":"a b","user":"u","password":"p"}'`,
      "privateRegistries[0].host: not a registry address: it holds white space",
    ],
  ])("refuses %s", (entry, diagnostic) => {
    expect(diagnosticsIn(privateRegistry(entry))).toEqual([`pullpass.yaml:2: ${diagnostic}`]);
  });

  it("takes any user name and password, once they are encoded", () => {
    // U+FFFD is refused in every source: it is what is left of bytes that were not UTF-8.
    const text = fc
      .string({ unit: "grapheme", minLength: 1 })
      .filter((credential) => !credential.includes("\uFFFD"));
    const username = text.filter((name) => !name.includes(":"));
    fc.assert(
      fc.property(username, text, (name, password) => {
        const uri = `${encodeURIComponent(name)}:${encodeURIComponent(password)}@a.com`;
        const { registries } = loadText(privateRegistry(JSON.stringify(uri)));
        expect(registries.map(summaryOf)).toEqual([["a-com", "a.com", name, password]]);
      }),
    );
  });
});

describe("names", () => {
  it("come from the address, each once, after those that were given", () => {
    const text = `
registries: [{ name: a-com, address: b.com }]
privateRegistries: ["u:made-up@a.com", "u:made-up@a.com", "u:made-up@A.com"]
connections: [{ name: A com, kind: registry, schema: { url: c.com }, secret: { name: s } }]
`;
    expect(loadText(text).registries.map(({ name }) => name)).toEqual([
      "a-com",
      "a-com-2",
      "a-com-3",
      "a-com-4",
      "a-com-5",
    ]);
  });
});

describe("connections", () => {
  it("README example", () => {
    const { registries } = loadText(`
connections:
  - name: docker-connection-kaniko
    kind: registry
    description: some description
    schema:
      url: https://myregistry.com/org/repo
    secret:
      name: docker-conf
      mountPath: /kaniko/.docker
  - name: docker-connection-dockerizer
    kind: registry
    schema:
      url: https://myregistry.com/org/repo
    secret:
      name: docker-conf
      mountPath: /root/.docker
`);
    expect(registries).toMatchObject([
      {
        name: "docker-connection-kaniko",
        address: { text: "myregistry.com/org/repo" },
        secretName: "docker-conf",
        buildSource: { kind: "own-secret", directory: "/kaniko/.docker" },
        source: undefined,
        list: "connections",
      },
      {
        name: "docker-connection-dockerizer",
        secretName: "docker-conf",
        buildSource: { kind: "own-secret", directory: "/root/.docker" },
      },
    ]);
  });

  it("are passed over where they are of another kind, or name no Secret", () => {
    const text =
      "connections: [{ kind: s3, schema: 7 }, { name: a, kind: registry, schema: { url: a.com } }]";
    expect(loadText(text).registries).toEqual([]);
  });

  it.each([
    ["7", "connections[0]: must be a mapping"],
    [
      "{ kind: registry, name: a, schema: { url: a b } }",
      "connections[0] (a).schema.url: not a registry address: it holds white space",
    ],
    [
      "{ kind: registry, name: a, schema: { url: a.com }, secret: { name: s, mountPath: k } }",
      "connections[0] (a).secret.mountPath: must be an absolute path",
    ],
  ])("refuses %s", (entry, diagnostic) => {
    expect(diagnosticsIn(`connections:\n  - ${entry}\n`)).toEqual([`pullpass.yaml:2: ${diagnostic}`]);
  });
});
