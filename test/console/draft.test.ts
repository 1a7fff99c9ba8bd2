import { describe, expect, it } from "vitest";
import type { RegistryRow, RegistrySpec } from "../../src/console/api.ts";
import {
  credentialsOf,
  differences,
  EMPTY_FIELDS,
  fieldsOf,
  nameOf,
  selectorOf,
  specOf,
} from "../../src/console/web/draft.ts";

describe("the name of a registry", () => {
  it.each([
    ["My Org Private Registry", "my-org-private-registry"],
    ["  Größe & Co. ", "gro-e-co"],
    ["Docker Hub", "docker-hub"],
    ["***", ""],
    ["x".repeat(80), "x".repeat(50)],
  ])("of %j is %j", (displayName, name) => {
    expect(nameOf({ name: "", displayName })).toBe(name);
  });
});

describe("a spec", () => {
  const row = (spec: RegistrySpec): RegistryRow => ({
    ...{ name: "team-a", displayName: "Team A", address: spec.address, auth: "BasicAuth", advice: "" },
    ...{
      state: { level: "good", words: "Ready" },
      namespaces: null,
      expiresAt: null,
      secretName: "pullpass-team-a",
    },
    object: {
      ...{ uid: "u", generation: 1, createdAt: "", spec, conditions: [] },
      ...{ credentialsChangedAt: null, lastLoginAt: null, test: null },
    },
  });

  it.each<[string, RegistrySpec]>([
    [
      "the four fields",
      {
        displayName: "Team A",
        address: "a.example.com",
        auth: { type: "BasicAuth", secretRef: { name: "x" } },
      },
    ],
    [
      "a token with a user name",
      {
        displayName: "T",
        address: "a.example.com",
        auth: { type: "Token", secretRef: { name: "x" }, username: "AWS" },
      },
    ],
    [
      "a provider",
      { displayName: "T", address: "a.example.com", auth: { type: "Provider", provider: "ecr" } },
    ],
    [
      "none",
      {
        displayName: "T",
        address: "*.example.com",
        secretName: "regcred",
        use: ["build"],
        hosts: ["a.example.com", "b.example.com"],
      },
    ],
    [
      "labels",
      { displayName: "T", address: "a.example.com", namespaces: { matchLabels: { team: "a", empty: "" } } },
    ],
    [
      "expressions",
      {
        displayName: "T",
        address: "a.example.com",
        namespaces: {
          matchLabels: { team: "a" },
          matchExpressions: [
            { key: "env", operator: "In", values: ["dev", "test"] },
            { key: "tier", operator: "NotIn", values: ["x"] },
            { key: "pci", operator: "DoesNotExist" },
          ],
        },
      },
    ],
    ["every namespace by an empty selector", { displayName: "T", address: "a.example.com", namespaces: {} }],
    // A field that a later release knows.
    [
      "fields that are not in the form",
      { displayName: "T", address: "a.example.com", later: { a: 1 } } as RegistrySpec,
    ],
  ])("with %s is the same after a look in the form", (_, spec) => {
    expect(specOf(fieldsOf(row(spec)), spec)).toEqual(spec);
  });

  it("leaves out what was not filled in", () => {
    expect(
      specOf({ ...EMPTY_FIELDS, displayName: " My Org ", address: " a.example.com " }, undefined),
    ).toEqual({
      displayName: "My Org",
      address: "a.example.com",
      auth: { type: "BasicAuth", secretRef: { name: "my-org-login" } },
    });
    expect(selectorOf([{ key: " ", operator: "In", values: "x" }])).toEqual({});
  });

  it("that somebody else changed is described in the words of the form", () => {
    const one = { address: "a.example.com", use: ["pull"] };
    expect(differences(one, { address: "b.example.com", displayName: "B", use: ["pull"] })).toEqual([
      "display name",
      "address",
    ]);
  });
});

it.each([
  [
    { auth: "BasicAuth", username: "u", password: "p" },
    { type: "BasicAuth", username: "u", password: "p" },
  ],
  [{ auth: "BasicAuth" }, null],
  [
    { auth: "Token", token: "t", username: "u" },
    { type: "Token", token: "t" },
  ],
  [{ auth: "Token", username: "u" }, null],
  [
    { auth: "DockerConfig", config: "{}" },
    { type: "DockerConfig", config: "{}" },
  ],
  [{ auth: "DockerConfig" }, null],
  [{ auth: "None", password: "p" }, null],
] as const)("credentials of %j are %j: what is empty stays as it is", (fields, expected) => {
  expect(credentialsOf({ ...EMPTY_FIELDS, ...fields })).toEqual(expected);
});
