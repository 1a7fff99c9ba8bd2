import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import { selectCredentials } from "../../src/core/select-credentials.ts";

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
