import fc from "fast-check";
import jsonpatch, { type AddOperation } from "fast-json-patch";
import { describe, expect, it } from "vitest";
import { asArray, isObject, getString, type JsonObject, type Pod } from "../../src/core/kubernetes.ts";
import { patchPod } from "../../src/core/patch.ts";
import { asPod } from "../../src/core/pod.ts";
import { decide } from "../../src/core/policy.ts";
import { anyPod } from "./any-pod.ts";
import { indexOf, makeRegistry } from "./make-registry.ts";
import { minimalPod, tweak, type PodDraft } from "./minimal-pod.ts";

const INDEX = indexOf(
  makeRegistry("team-a", "registry.example.com/team-a", { secretName: "regcred" }),
  makeRegistry("hub", "docker.io", { secretName: "hub-creds" }),
);

function patchFor(pod: Pod): readonly AddOperation<unknown>[] {
  const context = { namespace: { isOptedIn: true, labels: {} }, serviceAccount: undefined } as const;
  const decision = decide(pod, context, INDEX);
  return decision.kind === "inject" ? patchPod(pod, decision) : [];
}

/** As the API server does, which refuses a pod whose patch does not apply. */
function apply<T>(document: T, patch: readonly AddOperation<unknown>[]): T {
  return jsonpatch.applyPatch(structuredClone(document), structuredClone(patch), true).newDocument;
}

const useTwo = ({ spec }: PodDraft): void =>
  void (spec.containers = [{ image: "nginx" }, { image: "registry.example.com/team-a/app" }]);

describe("patchPod", () => {
  it("README example", () => {
    expect(patchFor(minimalPod())).toEqual([
      { op: "add", path: "/spec/imagePullSecrets", value: [{ name: "regcred" }] },
      { op: "add", path: "/metadata/annotations", value: { "pullpass.dev/injected": "team-a" } },
    ]);
    expect(apply<Pod>(minimalPod(), patchFor(minimalPod()))).toEqual(
      tweak(minimalPod(), ({ metadata, spec }) => {
        metadata.annotations = { "pullpass.dev/injected": "team-a" };
        spec.imagePullSecrets = [{ name: "regcred" }];
      }),
    );
  });

  it.each([
    [
      "no pull secrets, two needed",
      useTwo,
      "/spec/imagePullSecrets",
      [[{ name: "regcred" }, { name: "hub-creds" }]],
    ],
    [
      "null",
      ({ spec }: PodDraft): void => void (spec.imagePullSecrets = null),
      "/spec/imagePullSecrets",
      [[{ name: "regcred" }]],
    ],
    [
      "an empty list",
      ({ spec }: PodDraft): void => void (spec.imagePullSecrets = []),
      "/spec/imagePullSecrets/-",
      [{ name: "regcred" }],
    ],
    [
      "entries of others",
      (pod: PodDraft): void => {
        useTwo(pod);
        pod.spec.imagePullSecrets = [{ name: "mine" }, {}];
      },
      "/spec/imagePullSecrets/-",
      [{ name: "regcred" }, { name: "hub-creds" }],
    ],
  ])("appends to %s", (_title, change, path, values) => {
    const pod = tweak(minimalPod(), change);
    const patch = patchFor(pod);
    expect(patch.slice(0, -1)).toEqual(values.map((value) => ({ op: "add", path, value })));
    expect(patchFor(apply(pod, patch))).toEqual([]);
  });

  it.each([
    ["null", null, "/metadata/annotations", { "pullpass.dev/injected": "team-a" }],
    ["none", {}, "/metadata/annotations/pullpass.dev~1injected", "team-a"],
    ["some of others", { a: "b" }, "/metadata/annotations/pullpass.dev~1injected", "team-a"],
    [
      "what an earlier call wrote",
      { "pullpass.dev/injected": "hub,team-a" },
      "/metadata/annotations/pullpass.dev~1injected",
      "hub,team-a",
    ],
    [
      "what is no text",
      { "pullpass.dev/injected": 5 },
      "/metadata/annotations/pullpass.dev~1injected",
      "team-a",
    ],
  ])("annotates a pod whose annotations are %s", (_title, annotations, path, value) => {
    const pod = tweak(minimalPod(), ({ metadata }) => void (metadata.annotations = annotations));
    const patch = patchFor(pod);
    expect(patch.slice(1)).toEqual([{ op: "add", path, value }]);
    expect(apply(pod, patch).metadata["annotations"]).toMatchObject({
      "pullpass.dev/injected": expect.any(String) as string,
    });
  });

  it("keeps what our annotation holds already, however much that is", () => {
    const injected = Array.from({ length: 2_000 }, (_, index) => `r${index.toString()}`).join(",");
    const pod = tweak(minimalPod(), ({ metadata }) => {
      metadata.annotations = { "pullpass.dev/injected": injected };
    });
    const { annotations } = apply<Pod>(pod, patchFor(pod)).metadata;
    const names = String((annotations as JsonObject)["pullpass.dev/injected"]).split(",");
    expect(new Set(names)).toEqual(new Set([...injected.split(","), "team-a"]));
  });

  it("leaves the annotation out where all of them would come close to the limit of the API server", () => {
    const pod = tweak(
      minimalPod(),
      ({ metadata }) => void (metadata.annotations = { big: "x".repeat(90_000), no: 1 }),
    );
    expect(patchFor(pod)).toEqual([
      { op: "add", path: "/spec/imagePullSecrets", value: [{ name: "regcred" }] },
    ]);
  });
});

describe("for a builder", () => {
  const volume = {
    name: "pullpass-build",
    secret: {
      secretName: "pullpass.build",
      items: [{ key: ".dockerconfigjson", path: "config.json" }],
      defaultMode: 0o444,
    },
  };
  const mount = { name: "pullpass-build", mountPath: "/kaniko/.docker", readOnly: true };
  const variable = { name: "DOCKER_CONFIG", value: "/kaniko/.docker" };
  const kaniko = { name: "build", image: "gcr.io/kaniko-project/executor" };

  it.each([
    [
      "nothing there",
      { containers: [kaniko] },
      [
        ["/spec/volumes", [volume]],
        ["/spec/containers/0/env", [variable]],
        ["/spec/containers/0/volumeMounts", [mount]],
      ],
    ],
    [
      "null",
      { volumes: null, containers: [{ ...kaniko, env: null, volumeMounts: null }] },
      [
        ["/spec/volumes", [volume]],
        ["/spec/containers/0/env", [variable]],
        ["/spec/containers/0/volumeMounts", [mount]],
      ],
    ],
    [
      "empty lists",
      { volumes: [], containers: [{ ...kaniko, env: [], volumeMounts: [] }] },
      [
        ["/spec/volumes/-", volume],
        ["/spec/containers/0/env/-", variable],
        ["/spec/containers/0/volumeMounts/-", mount],
      ],
    ],
    [
      "an init container, and the volume of an earlier call",
      { volumes: [volume], initContainers: [{ ...kaniko, env: [variable] }], containers: [] },
      [["/spec/initContainers/0/volumeMounts", [mount]]],
    ],
  ])("adds to %s", (_title, spec, operations) => {
    const pod = { metadata: {}, spec };
    const patch = patchFor(pod);
    expect(patch).toEqual([
      ...operations.map(([path, value]) => ({ op: "add", path, value })),
      { op: "add", path: "/metadata/annotations", value: { "pullpass.dev/injected": "team-a,hub" } },
    ]);
    expect(patchFor(apply(pod, patch))).toEqual([]);
  });

  it("names a registry once that is there for pulls and for builds", () => {
    const pod = { metadata: {}, spec: { containers: [{ name: "build", image: "martizih/kaniko" }] } };
    const patch = patchFor(pod);
    expect(patch[0]).toEqual({ op: "add", path: "/spec/imagePullSecrets", value: [{ name: "hub-creds" }] });
    expect(patch.at(-1)?.value).toEqual({ "pullpass.dev/injected": "hub,team-a" });
  });
});

describe("for any pod", () => {
  /** Without what we may add to: what is left has to be as it was. */
  const stripped = (pod: Pod): unknown => {
    const annotations = { ...(pod.metadata["annotations"] as object | null | undefined) };
    const { "pullpass.dev/injected": _injected, ...others } = annotations as Record<string, unknown>;
    const { spec } = pod;
    const [initContainers, containers] = [spec["initContainers"], spec["containers"]].map((list) =>
      Array.isArray(list) ? list.map(strippedContainer) : list,
    );
    return {
      metadata: { ...pod.metadata, annotations: others },
      spec: { ...spec, imagePullSecrets: undefined, volumes: undefined, initContainers, containers },
    };
  };
  const strippedContainer = (container: unknown): unknown =>
    isObject(container) ? { ...container, volumeMounts: undefined, env: undefined } : container;

  /** Every list that we may append to, in one order. */
  const listsOf = ({ spec }: Pod): readonly (readonly unknown[])[] => [
    asArray(spec["imagePullSecrets"]),
    asArray(spec["volumes"]),
    ...[...asArray(spec["initContainers"]), ...asArray(spec["containers"])]
      .filter(isObject)
      .flatMap(({ volumeMounts, env }) => [asArray(volumeMounts), asArray(env)]),
  ];
  const isOurs = (element: unknown): boolean =>
    ["pullpass", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "regcred", "hub-creds"].some((name) =>
      getString(element, "name")?.startsWith(name),
    );

  it("the patch applies, and appends what is ours to lists and to our annotation, and nothing else", () => {
    fc.assert(
      fc.property(anyPod, (value) => {
        const pod = asPod(value);
        if (pod === undefined) return;
        const patched = apply(pod, patchFor(pod));
        expect(stripped(patched)).toEqual(stripped(pod));
        const after = listsOf(patched);
        listsOf(pod).forEach((before, index) => {
          expect(after[index]?.slice(0, before.length)).toEqual(before);
          expect(after[index]?.slice(before.length).every(isOurs)).toBe(true);
        });
      }),
      { numRuns: 2000 },
    );
  });

  it("patching twice is patching once", () => {
    fc.assert(
      fc.property(anyPod, (value) => {
        const pod = asPod(value);
        if (pod === undefined) return;
        expect(patchFor(apply(pod, patchFor(pod)))).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });
});
