import { describe, expect, it } from "vitest";
import { EMPTY_FIELDS, type Fields } from "../../src/console/web/draft.ts";
import { fieldOf, firstField, inWordsOfForm, missingParts } from "../../src/console/web/form-problems.ts";

describe("a problem", () => {
  it.each([
    ["spec.address", "address"],
    ["spec.hosts[0]", "hosts"],
    ["spec.namespaces.matchExpressions[0].key", "requirements"],
    ["spec.auth.secretRef.name", "secret"],
    ["credentials", "password"],
    ["credentials.token", "token"],
    ["metadata.name", "name"],
    ["spec", "address"],
  ])("of %s is at the field %s", (field, id) => {
    expect(fieldOf({ field, message: "" })).toBe(id);
  });

  it("at the top comes first", () => {
    const at = (field: string) => ({ field, message: "" });
    expect(firstField([at("spec.hosts"), at("credentials.token"), at("spec.address")])).toBe("address");
    expect(firstField([])).toBeUndefined();
  });

  it.each([
    ["", "", "spec.displayName", "is missing"],
    ["***", "", "spec.displayName", "needs a letter or a digit"],
    ["***", "typed", "metadata.name", "is taken"],
    ["Team A", "", "metadata.name", "is taken"],
  ])("of a name is at the display name that makes it: %j, %j", (displayName, name, field, message) => {
    const problem = { field: "metadata.name", message: "is taken" };
    expect(inWordsOfForm(problem, { ...EMPTY_FIELDS, displayName, name })).toEqual({ field, message });
  });
});

/*
 * the type of auth            | typed        | there already, and of that type | the Secret is named | missing
 */
it("of the Secret's name is at the display name that makes it, unless one was typed", () => {
  const problem = { field: "spec.auth.secretRef.name", message: "must be a Secret's name" };
  expect(inWordsOfForm(problem, EMPTY_FIELDS).field).toBe("spec.displayName");
  expect(inWordsOfForm(problem, { ...EMPTY_FIELDS, secret: "-typed" })).toBe(problem);
});

describe("of credentials is missing", () => {
  it.each<[of: Partial<Fields>, typeBefore: string | undefined, missing: readonly string[]]>([
    [{ auth: "BasicAuth" }, undefined, ["credentials.username", "credentials.password"]],
    [{ auth: "BasicAuth", username: "user" }, undefined, ["credentials.password"]],
    [{ auth: "BasicAuth" }, "BasicAuth", []],
    [{ auth: "BasicAuth", username: "user" }, "BasicAuth", ["credentials.password"]],
    [{ auth: "BasicAuth", secret: "theirs" }, undefined, []],
    [{ auth: "Token" }, undefined, ["credentials.token"]],
    [{ auth: "Token" }, "Token", []],
    [{ auth: "Token" }, "BasicAuth", ["credentials.token"]],
    [{ auth: "DockerConfig" }, undefined, ["credentials.config"]],
    [{ auth: "DockerConfig", config: "{}" }, undefined, []],
    [{ auth: "Provider" }, undefined, []],
    [{ auth: "None" }, "BasicAuth", []],
    [{ auth: "None", isForAll: false }, undefined, ["spec.namespaces"]],
  ])("%j, after %s: %j", (of, typeBefore, missing) => {
    const found = missingParts({ ...EMPTY_FIELDS, ...of }, typeBefore !== undefined, typeBefore);
    expect(found.map(({ field }) => field)).toEqual(missing);
  });
});
