import { expect, it } from "vitest";
import { patchEncoder } from "../../src/admission/patch-encoder.ts";
import type { Injection } from "../../src/core/decision.ts";
import { patchPod } from "../../src/core/patch.ts";
import { decide } from "../../src/core/policy.ts";
import { indexOf, makeRegistry } from "../core/make-registry.ts";
import { minimalPod, tweak } from "../core/minimal-pod.ts";

it("encodes what patchPod writes, also the second time, and after thousands of others", () => {
  const encode = patchEncoder();
  const registries = [makeRegistry("é", "docker.io")];
  const injection = {
    kind: "inject",
    registries,
    secretNames: ["hub-creds"],
    build: undefined,
    warnings: [],
  } as const;
  for (let round = 0; round < 2; round++) {
    for (let number = 0; number < 2500; number++) {
      const pod = tweak(minimalPod(), ({ metadata, spec }) => {
        if (number % 3 > 0) metadata.annotations = { "pullpass.dev/injected": number.toString() };
        if (number % 2 > 0) spec.imagePullSecrets = [];
      });
      const expected = JSON.stringify(patchPod(pod, injection));
      for (const encoded of [encode(pod, injection), encode(pod, injection)]) {
        expect(Buffer.from(encoded, "base64").toString("utf8")).toBe(expected);
      }
    }
  }
});

it("encodes annotations that are too long to be remembered", () => {
  const encode = patchEncoder();
  const injection = {
    kind: "inject",
    registries: [],
    secretNames: ["hub-creds"],
    build: undefined,
    warnings: [],
  } as const;
  for (const text of ["x".repeat(1000), "y".repeat(1000)]) {
    const pod = tweak(minimalPod(), ({ metadata }) => {
      metadata.annotations = { "pullpass.dev/injected": text };
    });
    const operations: unknown = JSON.parse(Buffer.from(encode(pod, injection), "base64").toString("utf8"));
    expect(operations).toContainEqual({
      op: "add",
      path: "/metadata/annotations/pullpass.dev~1injected",
      value: text,
    });
  }
});

it("tells plans apart that differ in one thing", () => {
  const encode = patchEncoder();
  const injectionOf = (name: string, secretNames: readonly string[]): Injection => ({
    kind: "inject",
    registries: [makeRegistry(name, "docker.io")],
    secretNames,
    build: undefined,
    warnings: [],
  });
  const bare = minimalPod();
  const listed = tweak(minimalPod(), ({ spec }) => (spec.imagePullSecrets = []));
  const annotated = tweak(minimalPod(), ({ metadata }) => (metadata.annotations = { team: "a" }));
  const hub = injectionOf("hub", ["hub-creds"]);
  const variants = [
    [bare, hub],
    [listed, hub],
    [annotated, hub],
    [bare, injectionOf("hub", ["other-creds"])],
    [bare, injectionOf("hub", ["hub-creds", "other-creds"])],
    [bare, injectionOf("other", ["hub-creds"])],
  ] as const;
  for (const [pod, injection] of variants) {
    for (const [before, injectionBefore] of variants) {
      encode(before, injectionBefore);
      const encoded = Buffer.from(encode(pod, injection), "base64").toString("utf8");
      expect(encoded).toBe(JSON.stringify(patchPod(pod, injection)));
    }
  }
});

it("encodes what builders get for each pod anew, also after one without", () => {
  const encode = patchEncoder();
  const index = indexOf(makeRegistry("hub", "docker.io"));
  const context = { namespace: { isOptedIn: true, labels: {} }, serviceAccount: undefined } as const;
  const kaniko = { name: "build", image: "martizih/kaniko" };
  const app = { name: "app", image: "nginx" };
  for (const containers of [[app], [kaniko], [app, kaniko], [kaniko], [app], [{ ...kaniko, env: [] }]]) {
    const pod = tweak(minimalPod(), ({ spec }) => (spec.containers = containers));
    const decision = decide(pod, context, index);
    if (decision.kind === "skip") expect.fail(decision.reason);
    expect(Buffer.from(encode(pod, decision), "base64").toString("utf8")).toBe(
      JSON.stringify(patchPod(pod, decision)),
    );
  }
});
