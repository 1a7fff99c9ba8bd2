import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import { questionFor, readAnswer } from "../../src/providers/answer.ts";
import { answer, PROVIDER, REQUEST } from "./programs.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (text: string) => () => readAnswer(PROVIDER, REQUEST, bytes(text));
const found = (username: string, password: string) => ({ credential: { username, password } });

describe("kubelet's protocol", () => {
  it("asks about an image without tag and digest", () => {
    expect(questionFor(PROVIDER, REQUEST)).toBe(
      '{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"registry.example.com/pullpass"}',
    );
  });

  it("takes what kubelet takes", () => {
    expect(read(answer())()).toEqual({
      credential: { username: "user", password: "made-up" },
      ...{ cacheDurationMs: 6 * 3_600_000, cacheKeyType: "Registry", entryCount: 1, matchCount: 1 },
    });
    expect(read(` ${answer({ cacheDuration: null, cacheKeyType: "Image" })}\n`)()).toMatchObject({
      ...{ cacheDurationMs: undefined, cacheKeyType: "Image" },
    });
    expect(read(answer({ cacheDuration: "0s", cacheKeyType: "Global" }))()).toMatchObject({
      cacheDurationMs: 0,
    });
  });

  it("takes the entry that kubelet would try first, of those that are not empty", () => {
    const auth = {
      "*.example.com": { username: "glob", password: "made-up" },
      "other.example.com": { username: "other", password: "made-up" },
      "registry.example.com": { username: "host", password: "made-up" },
      "https://registry.example.com/v1/pull": { username: "", password: "" },
      "registry.example.com/pullpass": null,
    };
    expect(read(answer({ auth }))()).toMatchObject({
      ...found("host", "made-up"),
      entryCount: 5,
      matchCount: 4,
    });
  });

  it.each<[what: string, text: string, message: string]>([
    ["nothing", "", "its answer is not a JSON object"],
    ["what is not JSON", "made-up: secret", "its answer is not a JSON object"],
    ["a list", "[]", "its answer is not a JSON object"],
    ["two answers", answer() + answer(), "its answer is not a JSON object"],
    [
      "another version",
      answer({ apiVersion: "credentialprovider.kubelet.k8s.io/v1beta1" }),
      "its answer's apiVersion is not",
    ],
    ["no version", answer({ apiVersion: undefined }), "its answer's apiVersion is not"],
    [
      "another kind",
      answer({ kind: "ExecCredential" }),
      "its answer's kind is not CredentialProviderResponse",
    ],
    ["another cacheKeyType", answer({ cacheKeyType: "registry" }), "its answer's cacheKeyType is none of"],
    ["no cacheKeyType", answer({ cacheKeyType: undefined }), "its answer's cacheKeyType is none of"],
    [
      "a duration in seconds",
      answer({ cacheDuration: 3600 }),
      "its answer's cacheDuration is not a duration",
    ],
    ["a duration in days", answer({ cacheDuration: "1d" }), "its answer's cacheDuration is not a duration"],
    ["another member", answer({ made: "up" }), "its answer has a member besides"],
    ["a member in another case", answer({ Auth: {} }), "its answer has a member besides"],
    [
      "a member twice",
      answer().replace("{", '{"kind":"CredentialProviderResponse",'),
      "its answer has a member twice",
    ],
    [
      "an entry twice",
      answer().replace('"auth":{', '"auth":{"registry.example.com":null,'),
      "its answer has a member twice",
    ],
    ["a list of entries", answer({ auth: [] }), "its answer's auth is not an object"],
    [
      "an entry that is a string",
      answer({ auth: { a: "made-up" } }),
      "an entry of its answer's auth is not an object",
    ],
    [
      "an entry with a token",
      answer({ auth: { a: { token: "made-up" } } }),
      "an entry of its answer's auth has a member besides",
    ],
    [
      "a number as password",
      answer({ auth: { a: { password: 1 } } }),
      "its answer's password is not a string",
    ],
    ["no entries", answer({ auth: {} }), "answered without credentials"],
    ["null for entries", answer({ auth: null }), "answered without credentials"],
    ["no auth", answer({ auth: undefined }), "answered without credentials"],
    [
      "entries for others",
      answer({ auth: { "a.com": { username: "u", password: "made-up" }, "b.com": null } }),
      "answered, but none of its 2 entries is there for registry.example.com/pullpass",
    ],
    [
      "an empty entry",
      answer({ auth: { "registry.example.com": { username: "", password: "" } } }),
      "answered, but the entry for registry.example.com/pullpass is empty",
    ],
    [
      "a line break in the password",
      answer({ auth: { "registry.example.com": { username: "u", password: "made\nup" } } }),
      "its answer's password contains a control character",
    ],
    [
      "a colon in the user name",
      answer({ auth: { "registry.example.com": { username: "made:up", password: "p" } } }),
      "its answer's user name contains a colon",
    ],
  ])("refuses %s, and repeats nothing of it", (_what, text, message) => {
    expect(read(text)).toThrow(message);
    expect(read(text)).not.toThrow(/made|up"/);
  });

  it("refuses what is not UTF-8", () => {
    expect(() => readAnswer(PROVIDER, REQUEST, new Uint8Array([0x22, 0xff, 0x22]))).toThrow(
      "its answer is not UTF-8",
    );
  });

  it("is not misled by brackets and quotes in strings", () => {
    const password = String.raw`made-up{"kind":[,"\"`;
    const auth = { "registry.example.com": { username: "user", password } };
    expect(read(answer({ auth }))()).toMatchObject(found("user", password));
  });

  it("reads an answer of a megabyte", () => {
    const auth = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, index) => [
        `h${index.toString()}.example.com`,
        { username: "user", password: "x".repeat(150) },
      ]),
    );
    const text = answer({
      auth: { ...auth, "registry.example.com": { username: "user", password: "made-up" } },
    });
    expect(text.length).toBeGreaterThan(1_000_000);
    expect(read(text)()).toMatchObject({ ...found("user", "made-up"), entryCount: 5_001 });
  });
});

describe("docker's protocol", () => {
  const helper = { ...PROVIDER, protocol: "docker" } as const;
  const ask = (host: string, text: string) => () =>
    readAnswer(helper, { address: parseAddress(host), image: `${host}/pullpass` }, bytes(text));
  const reply = (Username: string, Secret: string) =>
    JSON.stringify({ ServerURL: "made up", Username, Secret });

  it.each([
    ["registry.example.com:5000/team-a", "registry.example.com:5000"],
    ["docker.io/acme", "https://index.docker.io/v1/"],
  ])("asks for %s about %s", (host, question) => {
    expect(questionFor(helper, { address: parseAddress(host), image: "" })).toBe(question);
  });

  it.each([
    ["gcr.io", "_dcgcr_2_2_1_token", "_dcgcr_2_2_1_token"],
    ["team.azurecr.io", "<token>", "00000000-0000-0000-0000-000000000000"],
    ["123456789012.dkr.ecr.eu-west-1.amazonaws.com", "", "AWS"],
  ])("takes what is for %s from %j as of %s", (host, username, sent) => {
    expect(ask(host, reply(username, "made-up"))()).toMatchObject({
      ...found(sent, "made-up"),
      ...{ cacheDurationMs: undefined, entryCount: 1, matchCount: 1 },
    });
  });

  it.each([
    [
      "an identity token of others than Azure",
      reply("<token>", "made-up"),
      "answered with an identity token",
    ],
    ["no secret", reply("user", ""), "answered without credentials"],
    ["a number", '{"Username":"user","Secret":1}', "its answer's Secret is not a string"],
    ["what is not JSON", "made-up", "its answer is not a JSON object"],
  ])("refuses %s", (_what, text, message) => {
    expect(ask("registry.example.com", text)).toThrow(message);
  });
});
