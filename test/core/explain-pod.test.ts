import { describe, expect, it } from "vitest";
import { conditionsFor, explainImages } from "../../src/core/explain-pod.ts";
import { indexOf, makeRegistry } from "./make-registry.ts";
import { minimalPod, tweak } from "./minimal-pod.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const NEW = {};
const EXISTS = { uid: "8f0e0f5c-7b1f-4b0e-8a39-0c8f7d0d9a01" };

describe("conditionsFor", () => {
  it.each([
    ["opted in", OPTED_IN, "is new", NEW, []],
    ["opted in", OPTED_IN, "exists", EXISTS, ["recreated-opted-in"]],
    ["did not opt in", { "pullpass.dev/inject": "true" }, "is new", NEW, ["label"]],
    ["did not opt in", {}, "exists", EXISTS, ["label", "recreated"]],
    ["is unknown", "unknown", "is new", NEW, ["opted-in"]],
    ["is unknown", "unknown", "exists", EXISTS, ["opted-in", "recreated"]],
  ] as const)("the namespace %s (%j), the pod %s", (_namespace, labels, _pod, metadata, conditions) => {
    expect(conditionsFor({ metadata, spec: {} }, labels)).toEqual(conditions);
  });

  it.each([
    [
      "exists with a creationTimestamp",
      { creationTimestamp: "2026-11-26T12:00:00Z" },
      ["recreated-opted-in"],
    ],
    ["is new with the creationTimestamp of a template", { creationTimestamp: null }, []],
  ] as const)("a pod %s", (_title, metadata, conditions) => {
    expect(conditionsFor({ metadata, spec: {} }, OPTED_IN)).toEqual(conditions);
  });
});

describe("explainImages", () => {
  const onlyFor = (team: string) => ({ namespaces: { matchLabels: { team } } });
  const INDEX = indexOf(
    makeRegistry("wide", "gitlab.example.com"),
    makeRegistry("wide-b", "gitlab.example.com", onlyFor("b")),
    makeRegistry("narrow-a", "gitlab.example.com/a", onlyFor("a")),
    makeRegistry("narrow-b", "gitlab.example.com/a", onlyFor("b")),
  );
  const explain = (image: unknown, team: string) => {
    const pod = tweak(minimalPod(), ({ spec }) => void (spec.containers = [{ image }]));
    return explainImages(pod, { team }, INDEX).map(({ needs, withheld }) => ({
      needs: needs.map(({ name }) => name),
      withheld: withheld.map(({ name }) => name),
    }));
  };

  it.each([
    [
      "every limited registry, where none is left",
      "gitlab.example.com/a/app",
      "c",
      ["wide"],
      ["narrow-a", "narrow-b", "wide-b"],
    ],
    [
      "none that is less specific than what the image needs",
      "gitlab.example.com/a/app",
      "a",
      ["narrow-a"],
      ["narrow-b"],
    ],
    ["one with the same address", "gitlab.example.com/b/app", "a", ["wide"], ["wide-b"]],
    ["none where the namespace may use all", "gitlab.example.com/b/app", "b", ["wide", "wide-b"], []],
    ["none where nothing covers the image", "nginx", "a", [], []],
  ])("names as withheld: %s", (_title, image, team, needs, withheld) => {
    expect(explain(image, team)).toEqual([{ needs, withheld }]);
  });

  it("names every registry that covers the image, most specific first, where the namespace may use none", () => {
    const limited = indexOf(
      makeRegistry("b", "quay.io", onlyFor("b")),
      makeRegistry("a", "quay.io/a", onlyFor("a")),
    );
    const pod = tweak(minimalPod(), ({ spec }) => void (spec.containers = [{ image: "quay.io/a/app" }]));
    const [found] = explainImages(pod, {}, limited);
    expect(found?.needs).toEqual([]);
    expect(found?.withheld.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  it.each(["Not/A/Reference:", 7])("passes %j over", (image) => {
    expect(explain(image, "a")).toEqual([]);
  });
});
