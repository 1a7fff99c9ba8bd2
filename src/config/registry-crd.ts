/** The CustomResourceDefinition of ClusterRegistry, made from the schemas of its spec and of its status. */
import * as z from "zod";
import { isObject, type JsonObject } from "../core/kubernetes.ts";
import { registryObjectSchema } from "./schema.ts";
import { registryStatusSchema } from "./status-schema.ts";

export const REGISTRY_API = {
  group: "pullpass.dev",
  version: "v1alpha1",
  plural: "clusterregistries",
} as const;
export const REGISTRY_KIND = "ClusterRegistry";
export const REGISTRY_CRD_NAME = `${REGISTRY_API.plural}.${REGISTRY_API.group}`;
export const REGISTRY_API_VERSION = `${REGISTRY_API.group}/${REGISTRY_API.version}`;

/** What `kubectl get clusterregistries` shows; those of priority 1 with `--output wide`. */
const COLUMNS = [
  { name: "Address", type: "string", jsonPath: ".spec.address" },
  { name: "Auth", type: "string", jsonPath: ".spec.auth.type" },
  { name: "Ready", type: "string", jsonPath: conditionPath("status") },
  { name: "Reason", type: "string", jsonPath: conditionPath("reason") },
  { name: "Namespaces", type: "integer", jsonPath: ".status.namespaces.synced" },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  // A column of type date shows `<invalid>` for a time to come.
  { name: "Expires", type: "string", priority: 1, jsonPath: ".status.credentials.expiresAt" },
  { name: "Secret", type: "string", priority: 1, jsonPath: ".status.secretName" },
  { name: "Display name", type: "string", priority: 1, jsonPath: ".spec.displayName" },
];

function conditionPath(member: string): string {
  return `.status.conditions[?(@.type=="Ready")].${member}`;
}

export function registryCrd(): JsonObject {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: REGISTRY_CRD_NAME },
    spec: {
      group: REGISTRY_API.group,
      scope: "Cluster",
      names: {
        kind: REGISTRY_KIND,
        listKind: `${REGISTRY_KIND}List`,
        plural: REGISTRY_API.plural,
        singular: REGISTRY_KIND.toLowerCase(),
        shortNames: ["creg"],
        categories: ["pullpass"],
      },
      versions: [
        {
          name: REGISTRY_API.version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: COLUMNS,
          schema: { openAPIV3Schema: rootSchema() },
        },
      ],
    },
  };
}

function rootSchema(): JsonObject {
  return {
    type: "object",
    description: "A container registry: which images it covers, and where its credentials are.",
    required: ["spec"],
    "x-kubernetes-validations": [
      {
        rule: "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
        message: "the name must be a DNS label: at most 63 characters, and no dot",
        fieldPath: ".metadata.name",
      },
    ],
    properties: {
      apiVersion: { type: "string", description: `${REGISTRY_API_VERSION}.` },
      kind: { type: "string", description: `${REGISTRY_KIND}.` },
      // The rule above may name only what is here.
      metadata: { type: "object", properties: { name: { type: "string" } } },
      spec: {
        ...structuralSchema(registryObjectSchema),
        description: "What an admin says about the registry: an entry of `registries` in pullpass.yaml.",
      },
      status: {
        ...structuralSchema(registryStatusSchema),
        description: "What Pullpass reports about the registry.",
      },
    },
  };
}

/** Of JSON Schema what the API server takes: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema */
const STRUCTURAL_KEYWORDS: ReadonlySet<string> = new Set([
  ...["type", "description", "format", "enum", "pattern", "required"],
  ...["minLength", "maxLength", "minItems", "maxItems", "maxProperties", "minimum"],
]);

function structuralSchema(schema: z.ZodType): JsonObject {
  return toStructural(z.toJSONSchema(schema, { io: "input" }));
}

function toStructural(schema: JsonObject): JsonObject {
  const members = Object.entries(schema).flatMap(
    ([keyword, value]): readonly (readonly [string, unknown])[] => {
      if (STRUCTURAL_KEYWORDS.has(keyword) || keyword.startsWith("x-kubernetes-")) return [[keyword, value]];
      if (keyword === "properties" && isObject(value)) {
        const properties = Object.entries(value).filter((entry): entry is [string, JsonObject] =>
          isObject(entry[1]),
        );
        return [
          [keyword, Object.fromEntries(properties.map(([name, member]) => [name, toStructural(member)]))],
        ];
      }
      // `additionalProperties: false` is the API server's own rule: it prunes what it does not know.
      const hasSchema = keyword === "items" || keyword === "additionalProperties";
      return hasSchema && isObject(value) ? [[keyword, toStructural(value)]] : [];
    },
  );
  return Object.fromEntries(members);
}

/**
 * The fields of the spec, such as `spec.namespaces.matchLabels`, that the CRD in a cluster does not have. The API server prunes them:
 * without `namespaces`, say, credentials would go to every namespace.
 */
export function fieldsMissingFrom(crd: unknown): readonly string[] {
  return missingBelow(specOf(registryCrd()), specOf(crd), "spec");
}

function missingBelow(known: unknown, served: unknown, path: string): readonly string[] {
  if (!isObject(known)) return [];
  if (!isObject(served)) return [path];
  const members = isObject(known["properties"]) ? Object.keys(known["properties"]) : [];
  return [
    ...members.flatMap((name) => missingBelow(member(known, name), member(served, name), `${path}.${name}`)),
    ...missingBelow(known["items"], served["items"], `${path}[]`),
  ];
}

function member(schema: JsonObject, name: string): unknown {
  const properties = schema["properties"];
  return isObject(properties) ? properties[name] : undefined;
}

/** The schema of the spec in a CRD, if it serves the version that we read. */
function specOf(crd: unknown): unknown {
  const spec = isObject(crd) ? crd["spec"] : undefined;
  const versions = isObject(spec) && Array.isArray(spec["versions"]) ? (spec["versions"] as unknown[]) : [];
  const version = versions.find(
    (candidate) => isObject(candidate) && candidate["name"] === REGISTRY_API.version,
  );
  const schema = isObject(version) ? version["schema"] : undefined;
  const root = isObject(schema) ? schema["openAPIV3Schema"] : undefined;
  return isObject(root) ? member(root, "spec") : undefined;
}
