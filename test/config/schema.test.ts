/** A CRD is made from the schema of a registry: `kubectl explain` shows its descriptions, and the API server wants bounds. */
import { expect, it } from "vitest";
import * as z from "zod";
import { registrySchema } from "../../src/config/schema.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Every field, by its path, and the elements of lists. */
function fieldsIn(
  schema: JsonSchema,
  path: string,
): readonly (readonly [path: string, schema: JsonSchema])[] {
  const members = Object.entries(schema.properties ?? {}) as [string, JsonSchema][];
  return [
    ...members.flatMap(([name, member]) => [
      [`${path}.${name}`, member] as const,
      ...fieldsIn(member, `${path}.${name}`),
    ]),
    ...[schema.items, schema.additionalProperties]
      .filter((part): part is JsonSchema => typeof part === "object" && !Array.isArray(part))
      .flatMap((part) => [[`${path}[]`, part] as const, ...fieldsIn(part, `${path}[]`)]),
    ...(schema.oneOf ?? []).flatMap((part) => fieldsIn(part, path)),
  ];
}

const FIELDS = fieldsIn(z.toJSONSchema(registrySchema, { io: "input" }), "registry");

it.each(FIELDS.filter(([path]) => !path.endsWith("]")))("%s has a description", (_path, schema) => {
  expect(schema.description).toMatch(/^[`A-Z].*\.$/);
});

it.each(FIELDS.filter(([, { oneOf, properties }]) => oneOf === undefined && properties === undefined))(
  "%s is bounded",
  (_path, schema) => {
    const { maxLength, maxItems, maxProperties, enum: values, const: value } = schema;
    const bound = maxLength ?? maxItems ?? maxProperties ?? values?.length ?? value;
    expect(bound).toBeDefined();
  },
);
