import { expect, it } from "vitest";
import { patchEncoder } from "../../src/admission/patch-encoder.ts";
import { patchPod } from "../../src/core/patch.ts";
import { makeRegistry } from "../core/make-registry.ts";
import { minimalPod, tweak } from "../core/minimal-pod.ts";

it("encodes what patchPod writes, also the second time, and after thousands of others", () => {
  const encode = patchEncoder();
  const registries = [makeRegistry("é", "docker.io")];
  const injection = { kind: "inject", registries, secretNames: ["hub-creds"], warnings: [] } as const;
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

it("encodes long annotations as well, without remembering what a pod's creator wrote there", () => {
  const encode = patchEncoder();
  const injection = { kind: "inject", registries: [], secretNames: ["hub-creds"], warnings: [] } as const;
  const encodeLong = (text: string): string =>
    encode(
      tweak(minimalPod(), ({ metadata }) => void (metadata.annotations = { "pullpass.dev/injected": text })),
      injection,
    );
  encodeLong("warm-up");
  const before = process.memoryUsage().heapUsed;
  for (let number = 0; number < 1000; number++) {
    const text = `${number.toString()}-${"x".repeat(80_000)}`;
    const operations: unknown = JSON.parse(Buffer.from(encodeLong(text), "base64").toString("utf8"));
    expect(operations).toContainEqual({
      op: "add",
      path: "/metadata/annotations/pullpass.dev~1injected",
      value: text,
    });
  }
  // Remembered, the keys and patches alone would be 180 MB.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 1024 * 1024);
});
