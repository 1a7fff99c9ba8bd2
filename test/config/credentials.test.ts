import { describe, expect, it } from "vitest";
import type { ConfiguredRegistry } from "../../src/config/configuration.ts";
import { readCredentials, UnusableCredentialsError, type Environment } from "../../src/config/credentials.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const DOCKER_CONFIG = JSON.stringify({
  auths: {
    "https://a.com/v2/": { auth: Buffer.from("u:made-up").toString("base64") },
    "a.com/other": { username: "o", password: "other" },
  },
});

/** The only registry of a configuration that lies beside `files`. */
function registryWith(
  auth: string,
  files: Readonly<Record<string, string | Uint8Array>> = {},
  address = "a.com",
): ConfiguredRegistry {
  const text = `registries: [{ name: a, address: "${address}", auth: { ${auth} } }]`;
  const { registries } = loadConfiguration([{ path: `${temporaryDirectory(files)}/pullpass.yaml`, text }]);
  const [registry] = registries;
  if (registry === undefined) throw new Error("the configuration has no registry");
  return registry;
}

function credentialsOf(registry: ConfiguredRegistry, environment: Environment = {}): readonly string[] {
  return readCredentials(registry, environment).map(
    ({ address, username, password }) => `${address.text} ${username} ${password}`,
  );
}

describe("readCredentials", () => {
  it("README example", () => {
    const registry = registryWith("type: BasicAuth, username: my_username, passwordFrom: { file: team-a }", {
      "team-a": "my_password\n",
    });
    expect(credentialsOf(registry)).toEqual(["a.com my_username my_password"]);
  });

  const AUTH = {
    file: "type: BasicAuth, username: u, passwordFrom: { file: p }",
    env: "type: BasicAuth, username: u, passwordFrom: { env: PASSWORD }",
    inline: 'type: BasicAuth, username: u, password: "made-up\\n"',
  };

  it("drops one last line break, whatever the source", () => {
    expect(credentialsOf(registryWith(AUTH.file, { p: "made-up\n" }))).toEqual(["a.com u made-up"]);
    expect(credentialsOf(registryWith(AUTH.env), { PASSWORD: "made-up\n" })).toEqual(["a.com u made-up"]);
    expect(credentialsOf(registryWith(AUTH.inline))).toEqual(["a.com u made-up"]);
  });

  it("sends a token with the vendor's user name, or with the one given", () => {
    expect(credentialsOf(registryWith("type: Token, token: made-up", {}, "eu.gcr.io/team"))).toEqual([
      "eu.gcr.io/team oauth2accesstoken made-up",
    ]);
    expect(credentialsOf(registryWith("type: Token, token: made-up, username: robot"))).toEqual([
      "a.com robot made-up",
    ]);
  });

  it("takes of a config.json the entries for the address alone", () => {
    const registry = registryWith("type: DockerConfig, file: config.json", { "config.json": DOCKER_CONFIG });
    expect(credentialsOf(registry)).toEqual(["a.com u made-up"]);
  });

  it("has none where an admin or a cluster has them", () => {
    expect(credentialsOf(registryWith("type: Secret, name: s"))).toEqual([]);
    expect(credentialsOf({ ...registryWith("type: Secret, name: s"), source: undefined })).toEqual([]);
  });
});

describe("sources that cannot be used", () => {
  it.each([
    [
      "type: BasicAuth, username: u, passwordFrom: { env: NOT_SET }",
      "passwordFrom.env",
      "the environment variable is not set",
    ],
    [
      "type: BasicAuth, username: u, passwordFrom: { env: EMPTY }",
      "passwordFrom.env",
      "the variable is empty",
    ],
    [
      "type: BasicAuth, username: u, passwordFrom: { env: LATIN_1 }",
      "passwordFrom.env",
      "the variable is not UTF-8",
    ],
    [
      "type: BasicAuth, username: u, passwordFrom: { env: LINES }",
      "passwordFrom.env",
      "the variable contains a control character",
    ],
    [
      "type: BasicAuth, username: u, passwordFrom: { file: absent }",
      "passwordFrom.file",
      "the file cannot be read: ENOENT: no such file or directory",
    ],
    [
      "type: BasicAuth, username: u, passwordFrom: { file: . }",
      "passwordFrom.file",
      "the file cannot be read: EISDIR: illegal operation on a directory",
    ],
    ["type: Token, tokenFrom: { file: empty }", "tokenFrom.file", "the file is empty"],
    ["type: Token, tokenFrom: { file: latin1 }", "tokenFrom.file", "the file is not UTF-8"],
    ["type: Token, tokenFrom: { file: lines }", "tokenFrom.file", "the file contains a control character"],
    ["type: DockerConfig, file: empty", "file", "the file: the document is not JSON"],
    ["type: DockerConfig, file: latin1", "file", "the file is not UTF-8"],
    ["type: DockerConfig, file: other.json", "file", "the file has no entry for a.com"],
    ["type: DockerConfig, file: helper.json", "file", "; pods cannot run its credential helpers"],
    ["type: DockerConfig, file: store.json", "file", "; pods cannot run its credential helpers"],
    [
      "type: DockerConfig, file: token.json",
      "file",
      "the entry for a.com has no user name and password; kubelet ignores identity tokens",
    ],
    ["type: DockerConfig, file: latin1.json", "file", "the password of the entry for a.com is not UTF-8"],
  ])("%s: %s", (auth, field, reason) => {
    const registry = registryWith(auth, {
      empty: "\n",
      latin1: Uint8Array.of(0x6d, 0xfc),
      lines: "made-up\nmade-up\n",
      "other.json": '{"auths":{"b.com":{"username":"u","password":"made-up"}}}',
      "helper.json": '{"credHelpers":{"a.com":"ecr-login"}}',
      "store.json": '{"credsStore":"desktop"}',
      "token.json": '{"auths":{"a.com":{"identitytoken":"made-up"}}}',
      "latin1.json": JSON.stringify({
        auths: { "a.com": { auth: Buffer.from("u:\u00ff", "latin1").toString("base64") } },
      }),
    });
    const environment = { EMPTY: "", LATIN_1: "made-up\uFFFD", LINES: "made-up\nmade-up" };
    const read = (): unknown => readCredentials(registry, environment);
    expect(read).toThrow(UnusableCredentialsError);
    expect(read).toThrow(`auth.${field}: `);
    expect(read).toThrow(reason);
    expect(read).not.toThrow("made-up");
  });

  it("says of a file that has no such error number only its code", () => {
    const registry = registryWith("type: Token, tokenFrom: { file: x }");
    const source = { kind: "token", username: undefined, secret: { kind: "file", path: "x\0" } } as const;
    expect(() => readCredentials({ ...registry, source }, {})).toThrow(
      "the file cannot be read: ERR_INVALID_ARG_VALUE",
    );
  });
});
