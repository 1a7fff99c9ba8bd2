import { describe, expect, it } from "vitest";
import { explainImage, explanationJson, explanationText } from "../../src/core/explain-image.ts";
import { indexRegistries } from "../../src/core/registry.ts";
import { makeRegistry } from "./make-registry.ts";

const index = indexRegistries([
  makeRegistry("team-a", "registry.example.com/team-a"),
  makeRegistry("all", "registry.example.com"),
  makeRegistry("all-new", "registry.example.com"),
  makeRegistry("any", "*.example.net"),
  makeRegistry("port", "port.example.com:5000"),
]);

describe("an image is explained", () => {
  it.each([
    [
      "registry.example.com/team-a/shop:v7",
      ["team-a"],
      /registry.example.com\/team-a is the most specific address that covers it: the repositories under team-a$/,
    ],
    [
      "registry.example.com/other",
      ["all", "all-new"],
      /every repository of the host; 2 registries have this address$/,
    ],
    ["a.example.net/app", ["any"], /every repository of the host, for every host like \*.example.net$/],
    ["elsewhere.example.com/app", [], /^no configured registry covers it; it is pulled without credentials$/],
    [
      "port.example.com/app",
      [],
      /port is for port.example.com:5000, and the image says port.example.com: ports are compared as written$/,
    ],
    ["NOT AN IMAGE", [], /./],
  ] as const)("%s", (image, names, reason) => {
    const explanation = explainImage(image, index);
    expect(explanation.registries.map(({ name }) => name)).toEqual(names);
    expect(explanation.reason).toMatch(reason);
    expect(explanationText(explanation)).toContain(`because    ${explanation.reason}`);
    expect(JSON.parse(explanationJson(explanation))).toMatchObject({
      image,
      valid: explanation.reference !== undefined,
    });
  });

  it("with its tag and its digest, which it may lack", () => {
    const digest = `sha256:${"a".repeat(64)}`;
    const text = (image: string): string => explanationText(explainImage(image, index));
    expect(text(`nginx:1@${digest}`)).toContain(
      `reads as   registry docker.io, repository library/nginx, tag 1, digest ${digest}`,
    );
    expect(text("nginx")).toContain("reads as   registry docker.io, repository library/nginx");
    expect(text("%/x")).not.toContain("reads as");
  });
});
