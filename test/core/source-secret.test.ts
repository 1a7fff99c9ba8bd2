import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import {
  credentialsInOffer,
  credentialsInSecret,
  UnusableSecretError,
  type OfferedContent,
} from "../../src/core/source-secret.ts";
import { anyCredential } from "./any-address.ts";

const DOCKERCFG = { "a.com": { username: "u", password: "made-up" } };
const DOCUMENT = { auths: DOCKERCFG };

/** As the API server sends it; what is no text or bytes becomes JSON first. */
function secret(type: unknown, values: Readonly<Record<string, unknown>>): JsonObject {
  const encode = (value: unknown): string => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
    return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64");
  };
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, encode(value)]));
  return { apiVersion: "v1", kind: "Secret", type, data };
}

function read(object: JsonObject, address = "a.com"): readonly string[] {
  return credentialsInSecret(object, parseAddress(address)).map(
    (each) => `${each.address.text} ${each.username} ${each.password}`,
  );
}

describe("credentialsInSecret", () => {
  it("README example", () => {
    const object = secret("kubernetes.io/dockerconfigjson", { ".dockerconfigjson": DOCUMENT });
    expect(read(object)).toEqual(["a.com u made-up"]);
  });

  it.each([
    ["kubernetes.io/dockerconfigjson", { ".dockerconfigjson": DOCUMENT }],
    ["kubernetes.io/dockercfg", { ".dockercfg": DOCKERCFG }],
    ["Opaque", { "config.json": DOCUMENT, other: "made-up-too" }],
    ["kubernetes.io/basic-auth", { username: "u", password: "made-up" }],
  ])("reads type %s", (type, values) => {
    expect(read(secret(type, values))).toEqual(["a.com u made-up"]);
  });

  it("takes a password as it is, without the line break that ends a file", () => {
    const object = secret("kubernetes.io/basic-auth", { username: "u\r\n", password: " pä:ß\n" });
    expect(read(object, "*.a.com/team")).toEqual(["*.a.com/team u  pä:ß"]);
  });

  it.each([
    [
      "kubernetes.io/tls",
      {},
      "the type of the Secret is none of kubernetes.io/dockerconfigjson, kubernetes.io/dockercfg, Opaque, kubernetes.io/basic-auth",
    ],
    [undefined, {}, "the type of the Secret is none of "],
    ["made-up", {}, "the type of the Secret is none of "],
    [
      "kubernetes.io/dockerconfigjson",
      { "config.json": DOCUMENT },
      "the Secret has no key .dockerconfigjson",
    ],
    ["Opaque", { ".dockerconfigjson": DOCUMENT }, "the Secret has no key config.json"],
    ["kubernetes.io/basic-auth", { username: "u" }, "the Secret has no key password"],
    ["kubernetes.io/basic-auth", { password: "made-up" }, "the Secret has no key username"],
    ["kubernetes.io/basic-auth", { username: "u", password: "\n" }, "its key password is empty"],
    [
      "kubernetes.io/basic-auth",
      { username: "u", password: Uint8Array.of(0xff) },
      "its key password is not UTF-8",
    ],
    [
      "kubernetes.io/basic-auth",
      { username: "u", password: "made-up\ufffd" },
      "its key password is not UTF-8",
    ],
    [
      "kubernetes.io/basic-auth",
      { username: "u", password: "made-up\nmore" },
      "its key password contains a control character",
    ],
    [
      "kubernetes.io/basic-auth",
      { username: "u:v", password: "made-up" },
      "its key username contains a colon",
    ],
    ["kubernetes.io/dockercfg", { ".dockercfg": Uint8Array.of(0xff) }, "its key .dockercfg is not UTF-8"],
    ["kubernetes.io/dockercfg", { ".dockercfg": "\ufeff{}" }, "its key .dockercfg has no entry for a.com"],
    ["kubernetes.io/dockercfg", { ".dockercfg": "{" }, "its key .dockercfg: the document is not JSON"],
    ["Opaque", { "config.json": { auths: {} } }, "its key config.json has no entry for a.com"],
    [
      "Opaque",
      { "config.json": { auths: { "a.com": {} }, credsStore: "made-up-store" } },
      "its key config.json: the entry for a.com has no user name and password; pods cannot run its credential helpers",
    ],
  ])("type %s with %j: %s", (type, values, message) => {
    const attempt = (): unknown => read(secret(type, values));
    expect(attempt).toThrow(UnusableSecretError);
    expect(attempt).toThrow(message);
    expect(attempt).not.toThrow("made-up");
  });

  it.each([
    ["no data", { type: "Opaque" }, "the Secret has no key config.json"],
    ["null", { type: "Opaque", data: null }, "the Secret has no key config.json"],
    [
      "a value that is no text",
      { type: "Opaque", data: { "config.json": 1 } },
      "the Secret has no key config.json",
    ],
    [
      "no base64",
      { type: "Opaque", data: { "config.json": "made-up!" } },
      "its key config.json is not base64",
    ],
  ])("data that is %s", (_title, object, message) => {
    expect(() => read(object)).toThrow(new UnusableSecretError(message));
  });

  it("gives back every user name and password that is one, but for a last line break", () => {
    const isText = (text: string): boolean => text.isWellFormed() && !/\ufffd|^\ufeff|\p{Cc}/u.test(text);
    const credential = anyCredential.filter(({ username, password }) => isText(username) && isText(password));
    fc.assert(
      fc.property(credential, ({ username, password }) => {
        const object = secret("kubernetes.io/basic-auth", {
          username: `${username}\n`,
          password: `${password}\r\n`,
        });
        const address = parseAddress("a.com");
        expect(credentialsInSecret(object, address)).toEqual([{ address, username, password }]);
      }),
    );
  });
});

describe("credentialsInOffer", () => {
  const readOffer = (
    type: OfferedContent["type"],
    object: JsonObject,
    { username, address = "a.com" }: { readonly username?: string; readonly address?: string } = {},
  ): readonly string[] =>
    credentialsInOffer(object, { type, username }, parseAddress(address)).map(
      (each) => `${each.address.text} ${each.username} ${each.password}`,
    );

  it.each<[OfferedContent["type"], string, Readonly<Record<string, unknown>>]>([
    ["BasicAuth", "kubernetes.io/basic-auth", { username: "u", password: "made-up" }],
    ["BasicAuth", "Opaque", { username: "u", password: "made-up\n" }],
    ["DockerConfig", "kubernetes.io/dockerconfigjson", { ".dockerconfigjson": DOCUMENT }],
    ["DockerConfig", "Opaque", { "config.json": DOCUMENT }],
    ["DockerConfig", "Opaque", { ".dockerconfigjson": DOCUMENT, "config.json": "{}" }],
  ])("reads %s from type %s", (type, secretType, values) => {
    expect(readOffer(type, secret(secretType, values))).toEqual(["a.com u made-up"]);
  });

  it("takes the user name of a token from the object, or from the host", () => {
    const object = secret("Opaque", { token: "made-up" });
    expect(readOffer("Token", object, { username: "me" })).toEqual(["a.com me made-up"]);
    expect(readOffer("Token", object, { address: "eu.gcr.io" })).toEqual([
      "eu.gcr.io oauth2accesstoken made-up",
    ]);
    expect(readOffer("Token", object)).toEqual(["a.com token made-up"]);
  });

  it.each<[OfferedContent["type"], unknown, Readonly<Record<string, unknown>>, string]>([
    [
      "BasicAuth",
      "kubernetes.io/tls",
      {},
      "the type of the Secret is not kubernetes.io/basic-auth or Opaque",
    ],
    ["BasicAuth", undefined, {}, "the type of the Secret is not kubernetes.io/basic-auth or Opaque"],
    [
      "Token",
      "kubernetes.io/service-account-token",
      { token: "made-up" },
      "the type of the Secret is not Opaque",
    ],
    ["BasicAuth", "Opaque", { username: "u" }, "the Secret has no key password"],
    ["Token", "Opaque", { token: "" }, "its key token is empty"],
    ["DockerConfig", "Opaque", {}, "the Secret has no key .dockerconfigjson or config.json"],
    ["DockerConfig", "Opaque", { "config.json": "{" }, "its key config.json: the document is not JSON"],
  ])("refuses %s from type %s with %o", (type, secretType, values, message) => {
    expect(() => readOffer(type, secret(secretType, values))).toThrow(new UnusableSecretError(message));
  });
});
