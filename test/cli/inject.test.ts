import fc from "fast-check";
import jsonpatch from "fast-json-patch";
import { describe, expect, it } from "vitest";
import { LineCounter } from "yaml";
import { injectFiles } from "../../src/cli/inject.ts";
import { podSitesIn } from "../../src/cli/manifest.ts";
import { parseYaml } from "../../src/config/parse-yaml.ts";
import { patchPod } from "../../src/core/patch.ts";
import { decide } from "../../src/core/policy.ts";
import { indexOf, makeRegistry } from "../core/make-registry.ts";
import { anyManifests } from "./any-manifest.ts";

const INDEX = indexOf(
  makeRegistry("team-a", "registry.example.com/team-a", { secretName: "regcred" }),
  makeRegistry("hub", "docker.io", { secretName: "hub-creds" }),
);

function inject(text: string): string {
  return injectFiles([{ name: "input.yaml", text }], INDEX)[0]?.text ?? "";
}

function valuesIn(text: string): readonly unknown[] {
  return parseYaml(text, new LineCounter()).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as unknown;
  });
}

type Draft = { metadata?: Record<string, unknown> | null; spec: Record<string, unknown> };

/** What the webhook would make of every pod in a manifest. */
function patchedByWebhook(manifest: unknown): unknown {
  for (const site of podSitesIn(manifest)) {
    const pod = site.value as Draft;
    const decision = decide(
      { metadata: pod.metadata ?? {}, spec: pod.spec },
      { namespace: { isOptedIn: true, labels: "unknown" }, serviceAccount: undefined },
      INDEX,
    );
    if (decision.kind === "skip") continue;
    pod.metadata ??= {};
    jsonpatch.applyPatch(
      pod,
      structuredClone([...patchPod({ metadata: pod.metadata, spec: pod.spec }, decision)]),
      true,
    );
  }
  return manifest;
}

describe("injectFiles", () => {
  it("makes of any manifests what the webhook makes of their pods", () => {
    fc.assert(
      fc.property(anyManifests, (text) => {
        expect(valuesIn(inject(text))).toEqual(valuesIn(text).map(patchedByWebhook));
      }),
      { numRuns: 500 },
    );
  });

  it("changes nothing in what it wrote", () => {
    fc.assert(
      fc.property(anyManifests, (text) => {
        const injected = inject(text);
        expect(inject(injected)).toBe(injected);
      }),
      { numRuns: 200 },
    );
  });

  it("keeps every comment, in its order", () => {
    fc.assert(
      fc.property(anyManifests, (text) => {
        const comments = (of: string): readonly string[] => of.match(/# (?:comment|before) \d+/g) ?? [];
        expect(comments(inject(text))).toEqual(comments(text));
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ["documents", (pods: readonly string[]) => pods.join("\n---\n")],
    [
      "items of one List on one line",
      (pods: readonly string[]) => `{"apiVersion":"v1","kind":"List","items":[${pods.join()}]}`,
    ],
  ])(
    "takes time that grows with the manifests, not with their square: two megabytes of %s",
    (_title, join) => {
      const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"nginx","args":["${"x".repeat(150)}"]}]}}`;
      const start = performance.now();
      expect(inject(join(Array<string>(8000).fill(pod))).match(/hub-creds/g)).toHaveLength(8000);
      expect(performance.now() - start).toBeLessThan(12_000);
    },
  );
});
