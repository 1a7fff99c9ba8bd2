import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import {
  entriesFor,
  InvalidDockerConfigError,
  parseDockerConfig,
  type DockerConfigFormat,
} from "../../src/core/docker-config.ts";

interface DockerConfigRow {
  readonly id: string;
  readonly name: string;
  readonly format: DockerConfigFormat;
  readonly content: string;
  readonly kubelet: { readonly parse: "ok" | "error"; readonly entries?: object };
}

const { rows } = JSON.parse(
  readFileSync(new URL("../fixtures/cases/dockerconfig.json", import.meta.url), "utf8"),
) as { readonly rows: readonly DockerConfigRow[] };

function messageFor(content: string): string {
  try {
    parseDockerConfig(content, "dockerconfigjson");
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidDockerConfigError);
    return (error as Error).message;
  }
}

/** Members of `auths`, each with credentials made up from its key. */
function configWith(...keys: readonly string[]): string {
  return JSON.stringify({
    auths: Object.fromEntries(keys.map((key) => [key, { username: "u", password: key }])),
  });
}

describe("parseDockerConfig", () => {
  it.each(rows)("reads $name as kubelet does ($id)", ({ format, content, kubelet }) => {
    if (kubelet.parse === "error") {
      expect(() => parseDockerConfig(content, format)).toThrow(InvalidDockerConfigError);
    } else {
      expect(Object.fromEntries(parseDockerConfig(content, format).entries)).toEqual(kubelet.entries);
    }
  });

  it.each([
    ["{", "the document is not JSON"],
    ["[]", "the document is not a JSON object"],
    ['{"auths":[]}', "auths is not a JSON object"],
    ['{"auths":{"a.com":1}}', "entry 1 of auths is not a JSON object"],
    ['{"auths":{"a.com":{"password":1}}}', "entry 1 of auths: password is not a string"],
    ['{"auths":{"a.com":{"auth":"a"}}}', "entry 1 of auths: auth is not base64"],
    ['{"auths":{"a.com":{"auth":"a==="}}}', "entry 1 of auths: auth is not base64"],
    ['{"auths":{"a.com":{"auth":"YQ"}}}', "entry 1 of auths: auth is not base64 of username:password"],
    ['{"auths":{"https://u:made-up@a.com":1}}', "entry 1 of auths is not a JSON object"],
  ])("says where %s is wrong, and not what stands there", (content, message) => {
    expect(messageFor(content)).toBe(message);
  });

  it("finds members in any case, the last of several, and takes null for nothing", () => {
    const { entries } = parseDockerConfig(
      '{"Auths":{"a.com":{"USERNAME":"x","username":"u","Password":"p","auth":null},"b.com":null}}',
      "dockerconfigjson",
    );
    expect(Object.fromEntries(entries)).toEqual({
      "a.com": { username: "u", password: "p" },
      "b.com": { username: "", password: "" },
    });
  });

  it("does not lose the document for bytes that are no UTF-8", () => {
    const auth = Buffer.from("u:\u00ff", "latin1").toString("base64");
    const { entries } = parseDockerConfig(JSON.stringify({ "a.com": { auth } }), "dockercfg");
    expect(entries.get("a.com")).toEqual({ username: "u", password: "\ufffd" });
  });

  it("says what is kept elsewhere", () => {
    expect(
      parseDockerConfig('{"credsStore":"s","credHelpers":{"gcr.io":"gcloud"}}', "dockerconfigjson"),
    ).toEqual({
      entries: new Map(),
      helperKeys: ["gcr.io"],
      hasCredentialsStore: true,
    });
    expect(parseDockerConfig('{"credsStore":{"username":"u"},"credHelpers":{}}', "dockercfg")).toMatchObject({
      helperKeys: [],
      hasCredentialsStore: false,
    });
  });

  it("throws nothing but its own error", () => {
    const document = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((entry) => `{"auths":{"a.com":${entry}}}`),
    );
    fc.assert(fc.property(document, (content) => void messageFor(content)));
  });

  it("reads back what docker login writes, padded or not", () => {
    const username = fc.string({ unit: "grapheme" }).filter((name) => !name.includes(":"));
    fc.assert(
      fc.property(username, fc.string({ unit: "grapheme" }), fc.boolean(), (name, password, isPadded) => {
        const base64 = Buffer.from(`${name}:${password}`).toString("base64");
        const auth = isPadded ? base64 : base64.replace(/=+$/, "");
        const { entries } = parseDockerConfig(JSON.stringify({ "a.com": { auth } }), "dockercfg");
        expect(entries.get("a.com")).toEqual({ username: name, password });
      }),
    );
  });
});

describe("entriesFor", () => {
  it.each([
    ["the key that is the address", "a.com", ["a.com", "*.com"], ["a.com"]],
    [
      "both spellings of Docker Hub",
      "docker.io",
      ["https://index.docker.io/v1/", "docker.io"],
      ["docker.io", "docker.io"],
    ],
    ["the longest path that covers it", "a.com/x/y", ["a.com", "a.com/x", "a.com/x/z"], ["a.com/x"]],
    ["one of equal length", "a.com/x", ["*.com", "a.*"], ["*.com"]],
    [
      "all that an address with a star covers",
      "*.a.com",
      ["x.a.com", "y.a.com/z", "a.com"],
      ["x.a.com", "y.a.com/z"],
    ],
    ["nothing", "a.com", ["b.com", "https://u:made-up@a.com"], []],
  ])("takes %s", (_title, address, keys, expected) => {
    const entries = entriesFor(
      parseDockerConfig(configWith(...keys), "dockerconfigjson"),
      parseAddress(address),
    );
    expect(entries.map((entry) => entry.address.text)).toEqual(expected);
  });
});
