import { describe, expect, it } from "vitest";
import { isPermittedIn, selectRegistries, type Registry } from "../../src/core/registry.ts";
import { indexOf, makeRegistry } from "./make-registry.ts";

function namesFor(
  image: string,
  registries: readonly (string | Registry)[],
  isPermitted: (registry: Registry) => boolean = () => true,
): readonly string[] {
  const lookup = indexOf(...registries).lookUp(image);
  return lookup.kind === "invalid"
    ? []
    : selectRegistries(lookup.covering, isPermitted).map(({ name }) => name);
}

describe("which registries an image needs", () => {
  it("README example", () => {
    const registries = ["registry.example.com", "registry.example.com/team-a", "docker.io"];
    expect(namesFor("registry.example.com/team-a/app:v1", registries)).toEqual([
      "registry.example.com/team-a",
    ]);
    expect(namesFor("nginx", registries)).toEqual(["docker.io"]);
    expect(namesFor("quay.io/app", registries)).toEqual([]);
  });

  it.each([
    ["a longer path before a host without *", ["*.example.com/team-a", "registry.example.com"], 0],
    ["a host without * before one with", ["*.example.com", "registry.example.com"], 1],
    ["the longer text", ["*.example.com", "reg*.example.com"], 1],
    ["the order of the configuration", ["*istry.example.com", "registr*.example.com"], 1],
    ["the order of the configuration", ["r*y.example.com", "re*.example.com"], 0],
  ])("takes %s", (_rule, addresses, winner) => {
    expect(namesFor("registry.example.com/team-a/app", addresses)).toEqual([addresses[winner]]);
  });

  it("takes all that have the winning address, in the order of the configuration", () => {
    const registries = [
      makeRegistry("new", "https://registry.example.com/v2/"),
      makeRegistry("wider", "*.example.com"),
      makeRegistry("old", "registry.example.com"),
    ];
    expect(namesFor("registry.example.com/app", registries)).toEqual(["new", "old"]);
  });

  it("goes on to a wider address where the best one is kept from the namespace", () => {
    const registries = ["registry.example.com/team-a", "registry.example.com"];
    const isWide = (registry: Registry): boolean => registry.address.path === "";
    expect(namesFor("registry.example.com/team-a/app", registries, isWide)).toEqual(["registry.example.com"]);
    expect(namesFor("registry.example.com/team-a/app", registries, () => false)).toEqual([]);
  });

  it("leaves out registries for builds alone", () => {
    expect(namesFor("quay.io/app", [makeRegistry("push", "quay.io", { use: ["build"] })])).toEqual([]);
  });
});

describe("lookUp", () => {
  it("looks for the host that kubelet takes the first component for, where that is not a host for containerd", () => {
    expect(indexOf("docker.io", "a.b_c").lookUp("a.b_c/app")).toMatchObject({
      reference: { domain: "", path: "a.b_c/app" },
    });
  });

  it("says why a text is no image", () => {
    expect(indexOf("docker.io").lookUp("team/App")).toEqual({
      kind: "invalid",
      reason: "the repository has to be lower case",
    });
  });

  it("has one list for an address, whichever image it covers", () => {
    const index = indexOf("docker.io", "docker.io/team-a", "quay.io");
    const [nginx, app, none] = ["nginx", "team-a/app", "ghcr.io/app"].map((image) => {
      const lookup = index.lookUp(image);
      return lookup.kind === "parsed" ? lookup.covering : undefined;
    });
    expect(app?.[1]).toBe(nginx?.[0]);
    expect([nginx?.length, app?.length, none?.length]).toEqual([1, 2, 0]);
  });

  it("answers the same the second time, after thousands of others, and for texts too long to remember", () => {
    const index = indexOf("docker.io");
    for (const image of [
      "nginx",
      `nginx:${"t".repeat(600)}`,
      `a${"/b".repeat(120)}@sha512:${"0".repeat(128)}:`,
    ]) {
      const first = index.lookUp(image);
      for (let count = 0; count < 5000; count++) index.lookUp(`image-${count.toString()}`);
      expect(index.lookUp(image)).toEqual(first);
      expect(index.lookUp(image)).toEqual(first);
    }
  });
});

describe("isPermittedIn", () => {
  const limited = makeRegistry("team-a", "quay.io", { namespaces: { matchLabels: { team: "a" } } });

  it.each([
    ["no selector", makeRegistry("all", "quay.io"), {}, true],
    ["no selector and unknown labels", makeRegistry("all", "quay.io"), "unknown", true],
    ["unknown labels", limited, "unknown", false],
    ["fitting labels", limited, { team: "a" }, true],
    ["other labels", limited, { team: "b" }, false],
  ] as const)("with %s", (_title, registry, labels, isPermitted) => {
    expect(isPermittedIn(registry, labels)).toBe(isPermitted);
  });
});

describe("lookUp", () => {
  it("finds the same for an image as long as it is remembered and after it was forgotten", () => {
    const hub = makeRegistry("hub", "docker.io");
    const index = indexOf(hub);
    const images = Array.from({ length: 5000 }, (_, number) => `image-${number.toString()}`);
    for (const image of [...images, ...images]) {
      expect(index.lookUp(image)).toMatchObject({
        reference: { path: `library/${image}` },
        covering: [[hub]],
      });
    }
  });

  it("does not remember long strings", () => {
    const index = indexOf(makeRegistry("hub", "docker.io"));
    const long = "a".repeat(513);
    expect(index.lookUp(long)).toEqual(index.lookUp(long));
    expect(index.lookUp(long)).not.toBe(index.lookUp(long));
    expect(index.lookUp("nginx")).toBe(index.lookUp("nginx"));
  });
});
