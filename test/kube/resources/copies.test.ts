import { describe, expect, it } from "vitest";
import { contentOf } from "../../../src/core/replication.ts";
import { digest, readCopy } from "../../../src/kube/resources/copies.ts";
import { createStringPool } from "../../../src/kube/string-pool.ts";

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
  managedFields: [{ manager: "kubectl-annotate" }, { manager: "pullpass" }],
};
const SECRET = {
  metadata: METADATA,
  type: "kubernetes.io/dockerconfigjson",
  data: { ".dockerconfigjson": Buffer.from(DOCUMENT).toString("base64") },
};
const COPY = {
  uid: "7c1f",
  version: 1234,
  content: contentOf(SECRET.data[".dockerconfigjson"], "team-a,hub", digest),
  isWrittenByUs: true,
  isUpdatable: true,
};
const withAnnotations = (change: object): object => ({
  metadata: { ...METADATA, annotations: { ...ANNOTATIONS, ...change } },
});
const NOT_AS_WRITTEN = { content: undefined };

describe("a Secret read as a copy", () => {
  it("is what a plan compares, and no text of it", () => {
    const copy = readCopy(SECRET, createStringPool());
    expect(copy).toEqual(COPY);
    expect(JSON.stringify(copy)).not.toContain(SECRET.data[".dockerconfigjson"]);
  });

  it("is short, whatever is in it", () => {
    const long = "x".repeat(1_000_000);
    const secret = {
      ...SECRET,
      metadata: { ...METADATA, annotations: { ...ANNOTATIONS, "pullpass.dev/registries": long, long } },
      data: { ".dockerconfigjson": long, long },
    };
    expect(JSON.stringify(readCopy(secret, createStringPool())).length).toBeLessThan(200);
  });

  it.each([
    ["no data", { data: undefined }, NOT_AS_WRITTEN],
    ["data that is null", { data: null }, NOT_AS_WRITTEN],
    ["another key", { data: { "config.json": "e30=" } }, NOT_AS_WRITTEN],
    [
      "another document",
      { data: { ".dockerconfigjson": "e30=" } },
      { content: contentOf("e30=", "team-a,hub", digest) },
    ],
    [
      "an empty document",
      { data: { ".dockerconfigjson": "" } },
      { content: contentOf("", "team-a,hub", digest) },
    ],
    ["no annotations", { metadata: { ...METADATA, annotations: undefined } }, NOT_AS_WRITTEN],
    [
      "a changed annotation",
      withAnnotations({ "argocd.argoproj.io/sync-options": "Prune=true" }),
      NOT_AS_WRITTEN,
    ],
    [
      "other registries",
      withAnnotations({ "pullpass.dev/registries": "team-a" }),
      { content: contentOf(SECRET.data[".dockerconfigjson"], "team-a", digest) },
    ],
    [
      "other writers alone",
      { metadata: { ...METADATA, managedFields: [{ manager: "kubectl-create" }, "odd"] } },
      { content: undefined, isWrittenByUs: false },
    ],
    [
      "no record of its writers",
      { metadata: { ...METADATA, managedFields: undefined } },
      { content: undefined, isWrittenByUs: false },
    ],
    ["no labels", { metadata: { ...METADATA, labels: undefined } }, NOT_AS_WRITTEN],
    [
      "another manager",
      { metadata: { ...METADATA, labels: { "app.kubernetes.io/managed-by": "helm" } } },
      NOT_AS_WRITTEN,
    ],
    ["another type", { type: "Opaque" }, { content: undefined, isUpdatable: false }],
    ["content that must not change", { immutable: true }, { isUpdatable: false }],
    ["immutable: false", { immutable: false }, {}],
  ])("differs where it has %s", (_what, difference, expected) => {
    expect(readCopy({ ...SECRET, ...difference }, createStringPool())).toEqual({ ...COPY, ...expected });
  });
});
