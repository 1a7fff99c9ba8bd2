import { beforeAll, expect, it } from "vitest";
import type * as z from "zod";
import { REGISTRY_CRD_NAME } from "../../src/config/registry-crd.ts";
import type { registryStatusSchema } from "../../src/config/status-schema.ts";
import { ACCEPTED, INVALID_SPEC, REFUSED, type RegistryObjectCase } from "../config/registry-object-cases.ts";
import { waitUntil } from "../wait-until.ts";
import { INSTALL_MANIFEST, installManifest } from "./harness/chart.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import type { KubernetesObject } from "./harness/kubectl.ts";
import { refusal } from "./harness/run-command.ts";

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly "x-kubernetes-group-version-kind"?: readonly { readonly kind: string }[];
}

const TIME = "2026-11-26T10:00:00Z";
/** Every field that there is. */
const STATUS: Required<z.output<typeof registryStatusSchema>> = {
  observedGeneration: 1,
  address: "registry.example.com/team-a",
  secretName: "pullpass-team-a",
  namespaces: { selected: 12, synced: 12, refused: 0 },
  credentials: {
    changedAt: TIME,
    expiresAt: "2126-11-26T10:00:00Z",
    nextRefreshAt: TIME,
    lastLoginAt: TIME,
  },
  check: { requestedAt: TIME, image: "registry.example.com/team-a/shop:v7" },
  conditions: [
    {
      ...{ type: "Ready", status: "True", reason: "Ready", message: "12 namespaces have the credentials" },
      ...{ observedGeneration: 1, lastTransitionTime: TIME },
    },
    { type: "Synced", status: "True", reason: "Synced", message: "all are", lastTransitionTime: TIME },
  ],
};

await describeLevel("control-plane", "the CRD of ClusterRegistry at an API server", () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await borrowCluster();
    const crd = (await installManifest(INSTALL_MANIFEST)).filter(
      ({ kind }) => kind === "CustomResourceDefinition",
    );
    await cluster.kubectl.apply(...crd);
    await cluster.kubectl.run(["wait", "--for=condition=Established", `crd/${REGISTRY_CRD_NAME}`]);
  });

  const registry = ({ name = "team-a", spec }: RegistryObjectCase): KubernetesObject => ({
    apiVersion: "pullpass.dev/v1alpha1",
    kind: "ClusterRegistry",
    metadata: { name },
    spec,
  });
  const create = (object: RegistryObjectCase) =>
    refusal(() => cluster.kubectl.create(registry(object), "--dry-run=server"));
  const get = async (...args: readonly string[]) => (await cluster.kubectl.run(["get", ...args])).stdout;

  it.each([...ACCEPTED, ...INVALID_SPEC])("has the API server accept $what", async (object) => {
    expect(await create(object)).toBeUndefined();
  });

  it.each(REFUSED)("has the API server refuse $what", async (object) => {
    const message = await create(object);
    for (const part of object.apiServer) expect(message).toContain(part);
  });

  it("has fields that it does not know pruned where a client does not ask for strict validation", async () => {
    const spec = { address: "registry.example.com", namespace: "team-a" };
    const { stdout } = await cluster.kubectl.run(
      ["create", "--dry-run=server", "--validate=ignore", "--output=json", "--filename=-"],
      JSON.stringify(registry({ what: "an unknown field", spec })),
    );
    expect(JSON.parse(stdout)).toMatchObject({ spec: { address: "registry.example.com" } });
    expect(stdout).not.toContain('"namespace"');
  });

  it("explains every field in what the API server publishes, which kubectl explain prints", async () => {
    const schemas = await waitUntil("the schema to be published", async () => {
      const document = await get("--raw=/openapi/v3/apis/pullpass.dev/v1alpha1");
      const { components } = JSON.parse(document) as { components: { schemas: Record<string, Schema> } };
      return Object.values(components.schemas);
    });
    const root = schemas.find((schema) =>
      schema["x-kubernetes-group-version-kind"]?.some(({ kind }) => kind === "ClusterRegistry"),
    );
    const { spec, status } = root?.properties ?? {};
    const fields = [...fieldsBelow(spec, "spec"), ...fieldsBelow(status, "status")];
    expect(fields.length).toBeGreaterThan(35);
    expect(fields.filter(([, { description = "" }]) => !description.endsWith("."))).toEqual([]);
    const { stdout } = await cluster.kubectl.run(["explain", "clusterregistry.spec.auth.secretRef"]);
    expect(stdout).toContain("It must have the label");
    expect(stdout).toMatch(/^ +name\t<string> -required-\n +The name of the Secret\.$/m);
  });

  it("keeps every field of a status, lets kubectl wait for it, and shows it in columns", async () => {
    const { kubectl } = cluster;
    const spec = {
      displayName: "Team A",
      address: "registry.example.com/team-a",
      auth: { type: "BasicAuth", secretRef: { name: "team-a-login" } },
    };
    await kubectl.create(registry({ what: "a registry", spec }));
    const waiting = kubectl.run(["wait", "--for=condition=Ready", "clusterregistry/team-a", "--timeout=30s"]);
    await kubectl.run(
      ["apply", "--server-side", "--subresource=status", "--validate=strict", "--filename=-"],
      JSON.stringify({ ...registry({ what: "its status", spec: undefined }), status: STATUS }),
    );
    expect((await waiting).stdout).toBe("clusterregistry.pullpass.dev/team-a condition met\n");
    expect(await kubectl.json("get", "clusterregistry", "team-a")).toMatchObject({ spec, status: STATUS });

    const names = ["NAME", "ADDRESS", "AUTH", "READY", "REASON", "NAMESPACES", "AGE"];
    const age = expect.stringMatching(/^\d+s$/) as string;
    const cells = ["team-a", STATUS.address, "BasicAuth", "True", "Ready", "12", age];
    expect(columns(await get("creg"))).toEqual([names, cells]);
    expect(columns(await get("creg", "--output=wide"))).toEqual([
      [...names, "EXPIRES", "SECRET", "DISPLAY NAME"],
      [...cells, "2126-11-26T10:00:00Z", "pullpass-team-a", "Team A"],
    ]);
    expect(await get("pullpass", "--output=name")).toBe("clusterregistry.pullpass.dev/team-a\n");
  });

  it("has a write of the spec leave the status alone, and a write of the status the spec", async () => {
    const { kubectl } = cluster;
    const team = ["clusterregistry", "team-a"];
    const patch = `--patch=${JSON.stringify({ spec: { displayName: "A" }, status: { secretName: "x" } })}`;
    await kubectl.run(["patch", ...team, "--type=merge", patch]);
    expect(await kubectl.json("get", ...team)).toMatchObject({
      metadata: { generation: 2 },
      spec: { displayName: "A" },
      status: STATUS,
    });
    await kubectl.run(["patch", ...team, "--type=merge", "--subresource=status", patch]);
    expect(await kubectl.json("get", ...team)).toMatchObject({
      metadata: { generation: 2 },
      spec: { displayName: "A" },
      status: { secretName: "x" },
    });
  });

  it("has no two writers share a selector", async () => {
    const { kubectl } = cluster;
    const apply = (manager: string, namespaces: object) =>
      kubectl.run(
        ["apply", "--server-side", `--field-manager=${manager}`, "--filename=-"],
        JSON.stringify(
          registry({ what: "b", name: "team-b", spec: { address: "registry.example.com", namespaces } }),
        ),
      );
    await apply("first", { matchLabels: { team: "b" } });
    const second = { matchExpressions: [{ key: "stage", operator: "Exists" }] };
    expect(await refusal(() => apply("second", second))).toContain('conflict with "first": .spec.namespaces');
  });
});

/** The cells of what `kubectl get` prints, which are apart by at least three spaces. */
function columns(table: string): readonly (readonly string[])[] {
  return table
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd().split(/ {3,}/));
}

function fieldsBelow(schema: Schema | undefined, path: string): readonly (readonly [string, Schema])[] {
  if (schema === undefined) return [];
  const members = Object.entries(schema.properties ?? {});
  return [
    [path, schema],
    ...members.flatMap(([name, member]) => fieldsBelow(member, `${path}.${name}`)),
    ...fieldsBelow(schema.items, `${path}[]`).slice(1),
  ];
}
