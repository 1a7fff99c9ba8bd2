import fc from "fast-check";
import jsonpatch from "fast-json-patch";
import { describe, expect, it } from "vitest";
import { injectFiles, type InjectedFile } from "../../src/cli/inject.ts";
import { patchPod } from "../../src/core/patch.ts";
import { decide } from "../../src/core/policy.ts";
import { parseManifests, requireReadable } from "../../src/manifest/parse-manifests.ts";
import { podTemplatesIn } from "../../src/manifest/pod-templates.ts";
import { indexOf, makeRegistry } from "../core/make-registry.ts";
import { anyManifests } from "../manifest/any-manifest.ts";
import { isWithin } from "../manifest/is-within.ts";

const INDEX = indexOf(
  makeRegistry("team-a", "registry.example.com/team-a", { secretName: "regcred" }),
  makeRegistry("hub", "docker.io", { secretName: "hub-creds" }),
);

/** Each text is written and parsed several times. */
const SLOW = 120_000;

function injectFile(text: string): InjectedFile {
  const [injected] = injectFiles([{ name: "input.yaml", text }], INDEX);
  return injected ?? { text: "", report: [], hasErrors: true };
}

function inject(text: string): string {
  return injectFile(text).text;
}

/** Parts that aliases share are copies, as in the JSON that kubectl sends. */
function valuesIn(text: string): readonly unknown[] {
  return parseManifests({ name: "input.yaml", text }).map((document) =>
    comparable(requireReadable(document).value),
  );
}

function comparable(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, comparable(child)]));
}

type Draft = { metadata?: Record<string, unknown> | null; spec: Record<string, unknown> };

/** What the webhook would make of every pod in a manifest. */
function patchedByWebhook(manifest: unknown): unknown {
  for (const template of podTemplatesIn(manifest)) {
    const pod = template.value as Draft;
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
  it(
    "makes of any manifests what the webhook makes of their pods, and reformats none",
    () => {
      fc.assert(
        fc.property(anyManifests, (text) => {
          const injected = injectFile(text);
          expect(valuesIn(injected.text)).toEqual(valuesIn(text).map(patchedByWebhook));
          expect(injected.hasErrors).toBe(false);
          expect(injected.report.filter((line) => line.includes("reformatted"))).toEqual([]);
        }),
        { numRuns: 200 },
      );
    },
    SLOW,
  );

  it(
    "changes nothing in what it wrote",
    () => {
      fc.assert(
        fc.property(anyManifests, (text) => {
          const injected = inject(text);
          expect(inject(injected)).toBe(injected);
        }),
        { numRuns: 100 },
      );
    },
    SLOW,
  );

  it(
    "takes away no character but null and aliases that need a copy of their own",
    () => {
      fc.assert(
        fc.property(anyManifests, (text) => {
          expect(isWithin(text.replace(/\bnull\b|~|\*a\d+/g, ""), inject(text))).toBe(true);
        }),
        { numRuns: 100 },
      );
    },
    SLOW,
  );

  it(
    "keeps every comment, in its order",
    () => {
      fc.assert(
        fc.property(anyManifests, (text) => {
          const comments = (of: string): readonly string[] => of.match(/# (?:comment|before) \d+/g) ?? [];
          expect(comments(inject(text))).toEqual(comments(text));
        }),
        { numRuns: 100 },
      );
    },
    SLOW,
  );

  it.each([
    ["documents", (pods: readonly string[]) => pods.join("\n---\n")],
    [
      "items of one List on one line",
      (pods: readonly string[]) => `{"apiVersion":"v1","kind":"List","items":[${pods.join()}]}`,
    ],
    ["JSON values", (pods: readonly string[]) => pods.join("")],
  ])(
    "takes time that grows with the manifests, not with their square: %s",
    (_title, join) => {
      const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"nginx","args":["${"x".repeat(150)}"]}]}}`;
      const processorTimeFor = (count: number): number => {
        const text = join(Array<string>(count).fill(pod));
        const before = process.cpuUsage();
        expect(inject(text).match(/hub-creds/g)).toHaveLength(count);
        return process.cpuUsage(before).user;
      };
      processorTimeFor(500);
      const few = Math.min(processorTimeFor(500), processorTimeFor(500), processorTimeFor(500));
      // Eight times as many take eight times as long; their square would be sixty-four times.
      expect(processorTimeFor(4000)).toBeLessThan(24 * few);
    },
    SLOW,
  );
});
