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
  files: Readonly<Record<string, string>> = {},
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

  it.each([
    ["a file of one line", "made-up", "made-up"],
    ["one last line break, of either kind", "made-up\r\n", "made-up"],
    ["no more than one", "made-up\n\n", "made-up\n"],
    ["white space within", " made up\t", " made up\t"],
  ])("takes of a file %s", (_title, text, password) => {
    const registry = registryWith("type: BasicAuth, username: u, passwordFrom: { file: p }", { p: text });
    expect(credentialsOf(registry)).toEqual([`a.com u ${password}`]);
  });

  it("takes what the environment holds, as it is", () => {
    const registry = registryWith("type: BasicAuth, username: u, passwordFrom: { env: PASSWORD }");
    expect(credentialsOf(registry, { PASSWORD: "made-up\n" })).toEqual(["a.com u made-up\n"]);
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
      "environment variable NOT_SET is not set",
    ],
    [
      "type: BasicAuth, username: u, passwordFrom: { file: absent }",
      "ENOENT: no such file or directory, open '",
    ],
    ["type: Token, tokenFrom: { file: empty }", "empty is empty"],
    ["type: DockerConfig, file: empty", "the document is not JSON"],
    ["type: DockerConfig, file: other.json", "other.json has no entry for a.com"],
    [
      "type: DockerConfig, file: helper.json",
      "; its credential helpers are programs that are not there in a pod",
    ],
    [
      "type: DockerConfig, file: store.json",
      "; its credential helpers are programs that are not there in a pod",
    ],
    [
      "type: DockerConfig, file: token.json",
      "the entry for a.com has no user name and password; kubelet knows no identity",
    ],
    ["type: DockerConfig, file: latin1.json", "the entry for a.com is not UTF-8"],
  ])("%s: %s", (auth, reason) => {
    const registry = registryWith(auth, {
      empty: "\n",
      "other.json": '{"auths":{"b.com":{"username":"u","password":"made-up"}}}',
      "helper.json": '{"credHelpers":{"a.com":"ecr-login"}}',
      "store.json": '{"credsStore":"desktop"}',
      "token.json": '{"auths":{"a.com":{"identitytoken":"made-up"}}}',
      "latin1.json": JSON.stringify({
        auths: { "a.com": { auth: Buffer.from("u:\u00ff", "latin1").toString("base64") } },
      }),
    });
    const read = (): unknown => readCredentials(registry, {});
    expect(read).toThrow(UnusableCredentialsError);
    expect(read).toThrow(reason);
    expect(read).not.toThrow("made-up");
  });
});
