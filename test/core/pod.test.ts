import { describe, expect, it } from "vitest";
import type { Pod } from "../../src/core/kubernetes.ts";
import {
  asPod,
  describeLocation,
  labelOf,
  listAnnotationOf,
  missingPullSecrets,
  visitImages,
} from "../../src/core/pod.ts";
import { minimalPod, tweak } from "./minimal-pod.ts";

describe("asPod", () => {
  it.each([
    ["a pod", minimalPod(), true],
    [
      "one whose lists and maps are null",
      { metadata: { annotations: null }, spec: { imagePullSecrets: null } },
      true,
    ],
    ["a text", "pod", false],
    ["null", null, false],
    ["a list", [minimalPod()], false],
    ["one without metadata", { spec: {} }, false],
    ["one without a spec", { metadata: {} }, false],
    ["one whose pull secrets are no list", { metadata: {}, spec: { imagePullSecrets: {} } }, false],
    ["one whose annotations are no map", { metadata: { annotations: [] }, spec: {} }, false],
  ])("%s can be read: %#", (_title, value, isPod) => {
    expect(asPod(value) !== undefined).toBe(isPod);
  });
});

describe("visitImages", () => {
  function imagesOf(pod: Pod): readonly (readonly [location: string, image: unknown])[] {
    const images: (readonly [string, unknown])[] = [];
    visitImages(pod, (image, field, index) => void images.push([describeLocation(field, index), image]));
    return images;
  }

  it("finds init containers, containers and image volumes, and says where they stand", () => {
    const pod = tweak(minimalPod(), ({ spec }) => {
      spec.initContainers = [{ image: "init" }, { image: "sidecar", restartPolicy: "Always" }];
      spec.containers = [{ name: "left to somebody else" }, { image: "app" }];
      spec.volumes = [{ emptyDir: {} }, { image: { reference: "data" } }, { image: {} }];
    });
    expect(imagesOf(pod)).toEqual([
      ["spec.initContainers[0].image", "init"],
      ["spec.initContainers[1].image", "sidecar"],
      ["spec.containers[1].image", "app"],
      ["spec.volumes[1].image.reference", "data"],
    ]);
  });

  it("passes over what is no list, no container and no volume", () => {
    const pod = tweak(minimalPod(), ({ spec }) => {
      spec.initContainers = "none";
      spec.containers = [null, "app", 1];
      spec.volumes = [null, "data"];
    });
    expect(imagesOf(pod)).toEqual([]);
  });
});

it("missingPullSecrets passes over entries without a name", () => {
  const pod = tweak(minimalPod(), ({ spec }) => {
    spec.imagePullSecrets = [{}, { name: "a" }, null, { name: 1 }];
  });
  expect([...missingPullSecrets(pod, ["b", "a", "c"])]).toEqual(["b", "c"]);
});

it("labelOf finds own labels only", () => {
  const pod = tweak(minimalPod(), ({ metadata }) => {
    metadata.labels = { app: "web" };
  });
  expect([labelOf(pod, "app"), labelOf(pod, "toString")]).toEqual(["web", undefined]);
});

describe("listAnnotationOf", () => {
  const listIn = (list: unknown) =>
    listAnnotationOf(
      tweak(minimalPod(), ({ metadata }) => void (metadata.annotations = { list })),
      "list",
    );

  it("divides at commas, drops blanks and says each entry once", () => {
    expect(listIn(" a, ,b,a,")).toEqual({ entries: new Set(["a", "b"]), rest: "" });
    expect(listIn(1)).toEqual({ entries: new Set(), rest: "" });
    expect(listIn(undefined)).toEqual({ entries: new Set(), rest: "" });
  });

  it("leaves what comes after 1024 entries", () => {
    expect(listIn(`${"a,".repeat(1023)}b,c, d`)).toEqual({ entries: new Set(["a", "b"]), rest: "c, d" });
    expect(listIn(`${"a,".repeat(1023)}b`)).toEqual({ entries: new Set(["a", "b"]), rest: "" });
  });
});
