import { describe, expect, it } from "vitest";
import { expiryOf, readPullSecret } from "../../src/core/pull-secret.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const json = (value: unknown) => JSON.stringify(value);
const token = (claims: object) =>
  ["{}", json(claims), "signature"].map((part) => Buffer.from(part).toString("base64url")).join(".");

function read(type: string, key: string, document: unknown): unknown {
  const secret = { type, data: { [key]: base64(json(document)) } };
  return readPullSecret(secret).credentials.map(({ address, expiresAt }) => [address.text, expiresAt]);
}

describe("readPullSecret", () => {
  const entry = { username: "u", password: "made-up" };

  it("reads the addresses of both types that kubelet reads", () => {
    const auths = { "https://index.docker.io/v1/": entry, "a.com/team": { auth: base64("u:made-up") } };
    const expected = [
      ["docker.io", undefined],
      ["a.com/team", undefined],
    ];
    expect(read("kubernetes.io/dockerconfigjson", ".dockerconfigjson", { auths })).toEqual(expected);
    expect(read("kubernetes.io/dockercfg", ".dockercfg", auths)).toEqual(expected);
  });

  it("reads when a credential expires, and shows no password", () => {
    const password = token({ exp: 1_800_000_000 });
    const auths = { "a.com": { username: "u", password } };
    expect(read("kubernetes.io/dockerconfigjson", ".dockerconfigjson", { auths })).toEqual([
      ["a.com", 1_800_000_000_000],
    ]);
    const data = { ".dockercfg": base64(json(auths)) };
    expect(json(readPullSecret({ type: "kubernetes.io/dockercfg", data }))).not.toContain(password);
  });

  it.each([
    ["another type", "Opaque", ".dockerconfigjson", { auths: { "a.com": entry } }],
    ["another key", "kubernetes.io/dockerconfigjson", "config.json", { auths: { "a.com": entry } }],
    ["an entry that kubelet cannot decode", "kubernetes.io/dockercfg", ".dockercfg", { "a.com": 7 }],
    ["a key that is no address", "kubernetes.io/dockercfg", ".dockercfg", { "ftp://a.com": entry }],
    ["no user name", "kubernetes.io/dockercfg", ".dockercfg", { "a.com": { password: "made-up" } }],
    ["no password", "kubernetes.io/dockercfg", ".dockercfg", { "a.com": { username: "u" } }],
  ])("finds nothing with %s", (_title, type, key, document) => {
    expect(read(type, key, document)).toEqual([]);
  });

  it.each([
    {},
    { type: "kubernetes.io/dockercfg" },
    { type: "kubernetes.io/dockercfg", data: { ".dockercfg": "%" } },
  ])("finds nothing in %j", (secret) => {
    expect(readPullSecret(secret)).toEqual({ kind: "read", credentials: [] });
  });
});

describe("expiryOf", () => {
  it.each([
    ["a JSON Web Token", token({ exp: 1_800_000_000 }), 1_800_000_000_000],
    ["one without an expiry", token({ sub: "x" }), undefined],
    ["one whose expiry is no number", token({ exp: "soon" }), undefined],
    ["one whose expiry is no date", token({ exp: 1e300 }), undefined],
    ["one whose expiry is before all dates", token({ exp: -1e300 }), undefined],
    ["one of the last second", token({ exp: 253_402_300_799 }), 253_402_300_799_000],
    ["one of the year 10000", token({ exp: 253_402_300_800 }), undefined],
    [
      "a password of Amazon ECR",
      base64(json({ payload: "x", expiration: 1_800_000_000 })),
      1_800_000_000_000,
    ],
    ["a token of three parts that are something else", "a.b.c", undefined],
    ["a password with dots", "a.b", undefined],
    ["a password with many dots", "a.b.c.d", undefined],
    ["any other password", "pass:word@with+signs", undefined],
    ["base64 of anything else", base64("anything"), undefined],
    ["base64 that is not UTF-8", Buffer.from([0xff, 0xfe, 0xfd]).toString("base64"), undefined],
  ])("of %s", (_title, password, expected) => {
    expect(expiryOf(password)).toBe(expected);
  });
});
