import { describe, expect, it } from "vitest";
import { planLogins, planPulls, type LoginStep } from "../../src/cli/login-plan.ts";
import type { ConfiguredRegistry } from "../../src/config/configuration.ts";
import { parseAddress } from "../../src/core/address.ts";
import { parseImageReference } from "../../src/core/image-reference.ts";
import { makeRegistry } from "../core/make-registry.ts";

function registryAt(address: string, hosts: readonly string[] = []): ConfiguredRegistry {
  return {
    ...makeRegistry("a", address),
    displayName: undefined,
    source: undefined,
    hosts: hosts.map(parseAddress),
    buildSource: undefined,
    list: "registries",
    locate: (path) => ({ file: "test.yaml", path: ["registries", 0, ...path], line: 1 }),
  };
}

/** `host <- images`, or the reason. */
function words(step: LoginStep): string {
  if (step.kind === "pass-over") return step.reason;
  return [step.address.text, ...step.images.map(({ domain, path }) => `${domain}/${path}`)].join(" ");
}

function plan(
  registry: ConfiguredRegistry,
  credentials: readonly string[],
  images: readonly string[],
): readonly string[] {
  const addressed = credentials.map((text) => ({
    address: parseAddress(text),
    username: "u",
    password: "made-up",
  }));
  return planLogins(registry, addressed, images.map(parseImageReference)).map(words);
}

const NO_HOSTS = "the address has a *, and hosts lists none";

describe("which hosts are asked", () => {
  it.each([
    // address, hosts, addresses of the credentials, images, steps
    ["a.x.io/team", [], ["a.x.io/team"], ["a.x.io/team/app"], ["a.x.io/team a.x.io/team/app"]],
    ["a.x.io/team", [], ["a.x.io"], [], ["a.x.io/team"]],
    ["a.x.io/team", [], ["*.x.io"], ["a.x.io/team/app"], ["a.x.io/team a.x.io/team/app"]],
    ["docker.io", [], ["index.docker.io/v1/"], ["nginx"], ["docker.io docker.io/library/nginx"]],
    ["*.x.io", [], ["*.x.io"], [], [NO_HOSTS]],
    ["*.x.io", ["*.x.io"], ["*.x.io"], [], [NO_HOSTS]],
    ["*.x.io", ["a.x.io", "b.x.io"], ["*.x.io"], ["b.x.io/app"], ["a.x.io", "b.x.io b.x.io/app"]],
    ["*.x.io/team", ["a.x.io"], ["*.x.io/team"], ["a.x.io/team/app"], ["a.x.io a.x.io/team/app"]],
    ["*.x.io", ["a.y.io", "a.x.io:5000"], ["*.x.io"], [], [NO_HOSTS]],
    ["*.x.io", [], ["*.x.io"], ["c.x.io/a", "c.x.io/b"], ["c.x.io c.x.io/a c.x.io/b"]],
    [
      "*.x.io",
      ["a.x.io"],
      ["b.x.io", "c.x.io/team"],
      ["c.x.io/team/app"],
      ["b.x.io", "c.x.io/team c.x.io/team/app"],
    ],
    ["*.x.io", [], ["b.x.io"], ["c.x.io/app"], ["b.x.io", "its source has nothing for c.x.io/app"]],
  ])("%s with hosts %j, credentials for %j and images %j", (address, hosts, credentials, images, steps) => {
    expect(plan(registryAt(address, hosts), credentials, images)).toEqual(steps);
  });
});

describe("which registry is asked about an image", () => {
  const registries = [
    registryAt("x.io"),
    registryAt("x.io/team"),
    registryAt("x.io/team"),
    { ...registryAt("y.io"), use: ["build" as const] },
  ];
  const planned = planPulls(["x.io/team/app", "x.io/app", "x.io/app", "y.io/app", "X"], {
    registries,
    builders: [],
    attachedServiceAccounts: [],
    podTemplates: [],
  });

  it("is each one whose secret a pod would get", () => {
    expect(registries.map((registry) => planned.byRegistry.get(registry)?.map(({ path }) => path))).toEqual([
      ["app"],
      ["team/app"],
      ["team/app"],
      undefined,
    ]);
  });

  it("or it is said that there is none", () => {
    expect(planned.faults).toEqual([
      "--pull y.io/app: no configured registry covers it",
      '--pull "X" is not an image reference: the repository has to be lower case',
    ]);
  });
});
