import { describe, expect, it } from "vitest";
import {
  asRegistryObject,
  joinRegistryObjects,
  readRegistryObject,
  type RegistryObject,
} from "../../src/config/registry-objects.ts";
import { loadText } from "./load-text.ts";

const FILE = loadText(`registries:
  - { name: file, address: file.example.com, auth: { type: BasicAuth, username: u, password: made-up } }
  - { name: by-admin, address: admin.example.com, secretName: shared }
`);

const object = (name: string, spec: object = {}, more: Partial<RegistryObject> = {}): RegistryObject => ({
  name,
  createdAt: "2026-11-26T12:00:00Z",
  spec: { address: `${name}.example.com`, auth: { type: "Token", secretRef: { name: "s" } }, ...spec },
  ...more,
});

describe("joinRegistryObjects", () => {
  const join = (...objects: readonly RegistryObject[]) => {
    const { registries, faults } = joinRegistryObjects(FILE, objects);
    return { names: registries.map(({ name }) => name), faults: Object.fromEntries(faults), registries };
  };

  it("puts the file's registries first, and then the objects, the oldest first", () => {
    const old = { createdAt: "2026-01-01T00:00:00Z" };
    expect(join(object("b"), object("a"), object("c", {}, old)).names).toEqual([
      "file",
      "by-admin",
      "c",
      "a",
      "b",
    ]);
  });

  it("leaves out an object with the name of a registry of the file", () => {
    expect(join(object("file"))).toMatchObject({
      names: ["file", "by-admin"],
      faults: {
        file: {
          reason: "NameTakenByFile",
          message: "the configuration file has a registry file, which is used instead",
        },
      },
    });
  });

  it.each([
    [{ secretName: "pullpass-file" }, "spec.secretName: registry file writes Secret pullpass-file already"],
    [
      { secretName: "pullpass.build" },
      "spec.secretName: Secret pullpass.build is for builders; choose another name",
    ],
    [{ adress: "x" }, "spec.adress: unknown key; did you mean address?"],
    [{ address: "x.example.com:port" }, /^spec\.address: /],
    [{ address: "docker.io" }, /^spec\.auth\.username: /],
  ])("leaves out an object with %o", (spec, message) => {
    const { names, faults } = join(object("a", spec));
    expect(names).not.toContain("a");
    expect(faults["a"]).toEqual({
      reason: "InvalidSpec",
      message: typeof message === "string" ? message : (expect.stringMatching(message) as string),
    });
  });

  it("uses the last good spec of an object that cannot be used, and says so", () => {
    const lastGoodSpec = { address: "good.example.com" };
    const { registries, faults } = join(object("a", { use: [] }, { lastGoodSpec }));
    expect(registries.find(({ name }) => name === "a")?.address.text).toBe("good.example.com");
    expect(faults["a"]?.reason).toBe("InvalidSpec");
  });

  it("lets two registries share a Secret that an admin keeps, and an address", () => {
    const shared = { secretName: "shared", auth: undefined, address: "file.example.com" };
    expect(join(object("a", shared)).faults).toEqual({});
  });
});

describe("readRegistryObject", () => {
  it("gives a registry of the file with its Secret by reference", () => {
    expect(
      readRegistryObject(object("a", { auth: { type: "Token", secretRef: { name: "s" }, username: "me" } })),
    ).toMatchObject({
      registry: {
        name: "a",
        secretName: "pullpass-a",
        use: ["pull", "build"],
        source: { kind: "offered-secret", name: "s", type: "Token", username: "me" },
        buildSource: { kind: "build-secret" },
        list: "objects",
      },
    });
    expect(readRegistryObject(object("a", { auth: undefined }))).toMatchObject({
      registry: { source: undefined, buildSource: undefined },
    });
  });

  it.each(["a.b", "A", "", "x".repeat(64)])("refuses the name %o", (name) => {
    expect(readRegistryObject(object(name))).toEqual({
      kind: "invalid",
      message: "the name is not a DNS label",
      problems: [{ field: "metadata.name", message: "the name is not a DNS label" }],
    });
  });

  it("repeats no value: it may be a password in the wrong field", () => {
    const spec = {
      address: "user:made-up@x.example.com",
      auth: { type: "made-up", secretRef: { name: "Made-Up" }, password: "made-up" },
      namespaces: { matchLabels: { "made up": "made up" } },
      "made-up": 1,
    };
    const result = readRegistryObject(object("a", spec));
    expect(result.kind).toBe("invalid");
    expect(JSON.stringify(result)).not.toMatch(/made.up/i);
  });
});

it("reads an object from JSON, whatever is missing", () => {
  expect(asRegistryObject({})).toEqual({ name: "", createdAt: "", spec: undefined });
  expect(
    asRegistryObject({ metadata: { name: "a", creationTimestamp: "t" }, spec: { address: "x" } }),
  ).toEqual({
    ...{ name: "a", createdAt: "t", spec: { address: "x" } },
  });
});
