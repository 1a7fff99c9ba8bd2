import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import {
  type DockerConfigFormat,
  entriesFor,
  InvalidDockerConfigError,
  parseDockerConfig,
  selectCredentials,
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
    ["the host itself before one with a star", "a.com/x", ["*.com", "a.com", "a.*"], ["a.com"]],
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

function select(document: unknown, address = "a.com"): readonly string[] | string {
  const selection = selectCredentials(JSON.stringify(document), "dockerconfigjson", parseAddress(address));
  if (selection.kind === "unusable") return selection.reason;
  return selection.credentials.map((each) => `${each.address.text} ${each.username} ${each.password}`);
}

const good = { username: "u", password: "made-up" };

describe("selectCredentials", () => {
  it("README example", () => {
    expect(select({ auths: { "https://a.com/v2/": good, "b.com": good } })).toEqual(["a.com u made-up"]);
  });

  it.each([
    ["narrows an entry for more to the address", "a.com/team/x", { "a.com/team": good }, ["a.com/team/x"]],
    ["narrows an entry with a star to the address", "a.com", { "*.com": good }, ["a.com"]],
    [
      "keeps an entry for less as it is",
      "*.a.com",
      { "x.a.com": good, "y.a.com/team": good },
      ["x.a.com", "y.a.com/team"],
    ],
  ])("%s", (_title, address, auths, addresses) => {
    expect(select({ auths }, address)).toEqual(addresses.map((text) => `${text} u made-up`));
  });

  const helper = "pods cannot run its credential helpers";

  it.each([
    ["no object", [], ": the document is not a JSON object"],
    ["no entry", { auths: { "b.com": good } }, " has no entry for a.com"],
    ["no entry, and a store", { credsStore: "desktop" }, ` has no entry for a.com; ${helper}`],
    ["no entry, and a helper", { credHelpers: { "a.com": "x" } }, ` has no entry for a.com; ${helper}`],
    ["no entry, and another host's helper", { credHelpers: { "b.com": "x" } }, " has no entry for a.com"],
    [
      "no entry, and a helper whose key is no address",
      { credHelpers: { "": "x" } },
      " has no entry for a.com",
    ],
    [
      "an entry without a password",
      { auths: { "a.com": { username: "u", identitytoken: "made-up" } } },
      ": the entry for a.com has no user name and password; kubelet ignores identity tokens and registry tokens",
    ],
    [
      "an entry without a user name",
      { auths: { "a.com": { password: "made-up" } } },
      ": the entry for a.com has no user name and password; kubelet ignores identity tokens and registry tokens",
    ],
    [
      "the empty entry that docker login leaves beside a store",
      { auths: { "a.com": {} }, credsStore: "desktop" },
      `: the entry for a.com has no user name and password; ${helper}`,
    ],
    [
      "a password with a byte that was no UTF-8",
      { auths: { "a.com": { username: "u", password: "made-up\ufffd" } } },
      ": the password of the entry for a.com is not UTF-8",
    ],
    [
      "a user name with half of a surrogate pair",
      { auths: { "a.com": { username: "\ud83d", password: "made-up" } } },
      ": the user name of the entry for a.com is not UTF-8",
    ],
    [
      "a password of two lines",
      { auths: { "a.com": { username: "u", password: "made-up\nmore" } } },
      ": the password of the entry for a.com contains a control character, such as a line break or a tab",
    ],
  ])("says why it cannot use %s", (_title, document, reason) => {
    expect(select(document)).toBe(reason);
  });

  it("takes off the line break that `echo` puts into auth", () => {
    expect(select({ auths: { "a.com": { auth: btoa("u:made-up\n") } } })).toEqual(["a.com u made-up"]);
  });

  it("finds the helper of the host for a path of it", () => {
    expect(select({ credHelpers: { "gcr.io": "gcloud" } }, "gcr.io/team")).toContain(helper);
  });

  it("finds a helper for one of the hosts behind a star", () => {
    expect(select({ credHelpers: { "x.gcr.io": "gcloud" } }, "*.gcr.io")).toContain(helper);
  });

  it("takes an entry of the document although a helper has the host, as kubelet does", () => {
    expect(select({ auths: { "a.com": good }, credHelpers: { "a.com": "x" } })).toEqual(["a.com u made-up"]);
  });

  it("does not throw, and gives nothing that a reader could not use", () => {
    const entry = fc.oneof(
      fc.jsonValue(),
      fc.record(
        { username: fc.string(), password: fc.string(), auth: fc.base64String() },
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom("a.com", "*.com", "a.com/x"), entry), (auths) => {
        const text = JSON.stringify({ auths });
        const selection = selectCredentials(text, "dockerconfigjson", parseAddress("a.com"));
        if (selection.kind === "unusable") return;
        expect(selection.credentials.length).toBeGreaterThan(0);
        for (const { username, password } of selection.credentials) {
          expect(username).not.toBe("");
          expect(password).not.toBe("");
          expect((username + password).isWellFormed()).toBe(true);
        }
      }),
    );
  });
});
