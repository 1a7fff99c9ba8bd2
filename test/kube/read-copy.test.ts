import { describe, expect, it } from "vitest";
import { createIntern } from "../../src/kube/intern.ts";
import { readCopy } from "../../src/kube/read-copy.ts";

const DOCUMENT = '{"auths":{"registry.example.com":{"auth":"bWFkZS11cDptYWRlLXVw"}}}';
const ANNOTATIONS = {
  "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
  "argocd.argoproj.io/sync-options": "Prune=false",
  "pullpass.dev/registries": "team-a,hub",
};
const METADATA = {
  name: "pullpass-team-a",
  namespace: "team-a",
  uid: "7c1f",
  resourceVersion: "1234",
  labels: { "app.kubernetes.io/managed-by": "pullpass" },
  annotations: ANNOTATIONS,
};
const SECRET = {
  metadata: METADATA,
  type: "kubernetes.io/dockerconfigjson",
  data: { ".dockerconfigjson": Buffer.from(DOCUMENT).toString("base64") },
};
const COPY = {
  uid: "7c1f",
  version: 1234,
  document: DOCUMENT,
  registries: "team-a,hub",
  isMarked: true,
  isUpdatable: true,
};

describe("a Secret read as a copy", () => {
  it("is what a plan compares", () => {
    expect(readCopy(SECRET, createIntern())).toEqual(COPY);
  });

  it.each([
    ["no data", { data: undefined }, { document: undefined }],
    ["data that is null", { data: null }, { document: undefined }],
    ["another key", { data: { "config.json": "e30=" } }, { document: undefined }],
    ["an empty document", { data: { ".dockerconfigjson": "" } }, { document: "" }],
    [
      "no annotations",
      { metadata: { ...METADATA, annotations: undefined } },
      { registries: undefined, isMarked: false },
    ],
    [
      "a changed annotation",
      {
        metadata: {
          ...METADATA,
          annotations: { ...ANNOTATIONS, "argocd.argoproj.io/sync-options": "Prune=true" },
        },
      },
      { isMarked: false },
    ],
    ["no labels", { metadata: { ...METADATA, labels: undefined } }, { isMarked: false }],
    [
      "another manager",
      { metadata: { ...METADATA, labels: { "app.kubernetes.io/managed-by": "helm" } } },
      { isMarked: false },
    ],
    ["another type", { type: "Opaque" }, { document: undefined, isUpdatable: false }],
    ["content that must not change", { immutable: true }, { isUpdatable: false }],
    ["immutable: false", { immutable: false }, {}],
  ])("differs where it has %s", (_what, difference, expected) => {
    expect(readCopy({ ...SECRET, ...difference }, createIntern())).toEqual({ ...COPY, ...expected });
  });
});
