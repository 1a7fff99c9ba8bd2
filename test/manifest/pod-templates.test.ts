import { describe, expect, it } from "vitest";
import { indexPodTemplateKinds, type PodTemplateKind } from "../../src/manifest/pod-template-kinds.ts";
import { podTemplatesIn, titleOf } from "../../src/manifest/pod-templates.ts";

const POD = { spec: { containers: [] } };
const ROWS = [...indexPodTemplateKinds().values()].flat();

/** An object of the kind with a pod at the path; `*` is a list there, or a mapping. */
function objectOf({ group, kind, path }: PodTemplateKind, star: (value: unknown) => unknown): unknown {
  const inside = path.reduceRight<unknown>(
    (value, key) => (key === "*" ? star(value) : { [key]: value }),
    POD,
  );
  return {
    apiVersion: group === "" ? "v1" : `${group}/v7`,
    kind,
    metadata: { name: "a" },
    ...(inside as object),
  };
}

describe("podTemplatesIn", () => {
  it.each(ROWS)("finds the template of $kind in $group, in any version", (row) => {
    expect(podTemplatesIn(objectOf(row, (value) => [value]))).toMatchObject([
      {
        path: row.path.map((key) => (key === "*" ? 0 : key)),
        owner: `${row.kind}/a`,
        allowsMetadata: row.allowsMetadata,
      },
    ]);
  });

  it("finds a template by every key of a mapping", () => {
    const [row] = indexPodTemplateKinds().get("kubeflow.org/PyTorchJob") ?? [];
    expect(row).toBeDefined();
    const job = row && objectOf(row, (value) => ({ Master: value, Worker: value, "": null }));
    expect(podTemplatesIn(job).map(titleOf)).toEqual([
      "PyTorchJob/a spec.pytorchReplicaSpecs.Master.template",
      "PyTorchJob/a spec.pytorchReplicaSpecs.Worker.template",
    ]);
  });

  it("finds templates of kinds that the configuration adds, and creates no metadata that their schema may not know", () => {
    const path = ["spec", "tasks", "*", "template"];
    const kinds = indexPodTemplateKinds([{ group: "example.com", kind: "Flow", path }]);
    const flow = objectOf({ group: "example.com", kind: "Flow", path }, (value) => [value]);
    expect(podTemplatesIn(flow)).toEqual([]);
    expect(podTemplatesIn(flow, kinds)).toMatchObject([
      { path: ["spec", "tasks", 0, "template"], allowsMetadata: false },
    ]);
  });

  it("goes through typed lists and OpenShift Templates", () => {
    const rollout = { metadata: { name: "a" }, spec: { template: POD } };
    const list = { apiVersion: "argoproj.io/v1alpha1", kind: "RolloutList", items: [rollout] };
    const config = { apiVersion: "apps.openshift.io/v1", kind: "DeploymentConfig", ...rollout };
    const template = { apiVersion: "template.openshift.io/v1", kind: "Template", objects: [config] };
    expect(podTemplatesIn(list)).toMatchObject([
      { path: ["items", 0, "spec", "template"], owner: "Rollout/a" },
    ]);
    expect(podTemplatesIn(template)).toMatchObject([{ path: ["objects", 0, "spec", "template"] }]);
  });

  it.each([
    ["another group", { apiVersion: "example.com/v1", kind: "Deployment", spec: { template: POD } }],
    [
      "a template that is not an object",
      { apiVersion: "apps/v1", kind: "Deployment", spec: { template: [POD] } },
    ],
    ["names that every object has", { apiVersion: "v1", kind: "constructor", spec: { template: POD } }],
    ["no object", [POD]],
  ])("finds none in %s", (_title, value) => {
    expect(podTemplatesIn(value)).toEqual([]);
  });
});
