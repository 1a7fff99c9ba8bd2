import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { fieldsMissingFrom, registryCrd } from "../../src/config/registry-crd.ts";
import { readRegistryObject } from "../../src/config/registry-objects.ts";
import { CRD_TEMPLATE, renderCrdTemplate } from "../cluster/harness/chart.ts";
import { ACCEPTED, INVALID_SPEC, REFUSED, type RegistryObjectCase } from "./registry-object-cases.ts";

const read = ({ name = "team-a", spec }: RegistryObjectCase) =>
  readRegistryObject({ name, createdAt: "2026-11-26T00:00:00Z", spec });

it.each(ACCEPTED)("accepts $what", (object) => {
  expect(read(object)).toMatchObject({ kind: "registry", registry: { name: object.name ?? "team-a" } });
});

it.each([...REFUSED, ...INVALID_SPEC])("refuses $what", (object) => {
  const result = read(object);
  expect(result).toMatchObject({
    kind: "invalid",
    message: expect.stringContaining(object.schema) as string,
  });
  expect(JSON.stringify(result)).not.toContain("made-up");
});

interface Schema {
  readonly type: string;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
}

interface Crd {
  readonly spec: {
    readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }];
  };
}

const crdSchema = (): Schema => (registryCrd() as unknown as Crd).spec.versions[0].schema.openAPIV3Schema;

/** Every field below a schema, by its path, and the elements of lists and maps as `path[]`. */
function fieldsBelow(schema: Schema, path: string): readonly (readonly [path: string, schema: Schema])[] {
  const members = Object.entries(schema.properties ?? {}).map(
    ([name, member]) => [`${path}.${name}`, member] as const,
  );
  const elements = [schema.items, schema.additionalProperties]
    .filter((element) => element !== undefined)
    .map((element) => [`${path}[]`, element] as const);
  return [...members, ...elements].flatMap(([at, field]) => [
    [at, field] as const,
    ...fieldsBelow(field, at),
  ]);
}

describe("the CRD", () => {
  const fields = ["spec", "status"].flatMap((name) => {
    const schema = crdSchema().properties?.[name];
    if (schema === undefined) throw new Error(`no ${name}`);
    return [[name, schema] as const, ...fieldsBelow(schema, name)];
  });

  it.each(fields.filter(([path]) => !path.endsWith("]")))("explains %s", (_path, { description }) => {
    expect(description).toMatch(/^[`A-Z].*\.$/s);
  });

  it.each(fields.filter(([, { type }]) => type === "string"))("bounds the string %s", (_path, field) => {
    expect(field.maxLength ?? field.enum?.length).toBeGreaterThan(0);
  });

  it.each(fields.filter(([, { type }]) => type === "array"))("bounds the list %s", (_path, { maxItems }) => {
    expect(maxItems).toBeGreaterThan(0);
  });

  it.each(fields.filter(([, { additionalProperties }]) => additionalProperties !== undefined))(
    "bounds the map %s",
    (_path, { maxProperties }) => {
      expect(maxProperties).toBeGreaterThan(0);
    },
  );

  it("is what the chart has: npm run render", async () => {
    expect(await readFile(CRD_TEMPLATE, "utf8")).toBe(renderCrdTemplate());
  });
});

describe("the fields that a served CRD lacks", () => {
  /** The CRD without one field, given by the path of its parent. */
  const without = (name: string, ...parents: readonly string[]) => {
    const crd = structuredClone(registryCrd()) as unknown as Crd;
    const parent = parents.reduce<Schema | undefined>(
      (schema, key) => (key === "[]" ? schema?.items : schema?.properties?.[key]),
      crd.spec.versions[0].schema.openAPIV3Schema,
    );
    const { properties } = parent ?? {};
    if (properties?.[name] === undefined) throw new Error(`no ${name}`);
    Reflect.deleteProperty(properties, name);
    return crd;
  };

  it.each([
    ["none", registryCrd(), []],
    ["a field", without("namespaces", "spec"), ["spec.namespaces"]],
    ["a field of a field", without("matchLabels", "spec", "namespaces"), ["spec.namespaces.matchLabels"]],
    [
      "a field of a list's elements",
      without("values", "spec", "namespaces", "matchExpressions", "[]"),
      ["spec.namespaces.matchExpressions[].values"],
    ],
    ["the spec", without("spec"), ["spec"]],
    ["the version", { spec: { versions: [{ name: "v1" }] } }, ["spec"]],
    ["everything", {}, ["spec"]],
  ])("are named: %s", (_what, crd, missing) => {
    expect(fieldsMissingFrom(crd)).toEqual(missing);
  });
});
