import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import {
  isAskedAbout,
  matchingKeys,
  patternMatches,
  requestsFor,
} from "../../src/core/credential-provider.ts";

/** k8s.io/kubernetes `pkg/credentialprovider/keyring_test.go`, TestURLsMatch, all of it; then what its code says besides. */
const CASES: readonly (readonly [pattern: string, image: string, isMatch: boolean])[] = [
  ["*.kubernetes.io", "prefix.kubernetes.io", true],
  ["prefix.*.io", "prefix.kubernetes.io", true],
  ["prefix.kubernetes.*", "prefix.kubernetes.io", true],
  ["*-good.kubernetes.io", "prefix-good.kubernetes.io", true],
  ["*.kubernetes.io/blah", "prefix.kubernetes.io/blah", true],
  ["prefix.*.io/foo", "prefix.kubernetes.io/foo/bar", true],
  ["*.kubernetes.io:1111/blah", "prefix.kubernetes.io:1111/blah", true],
  ["prefix.*.io:1111/foo", "prefix.kubernetes.io:1111/foo/bar", true],
  ["*.kubernetes.io", "kubernetes.io", false],
  ["*.*.kubernetes.io", "prefix.kubernetes.io", false],
  ["*.*.kubernetes.io", "kubernetes.io", false],
  ["*kubernetes.io", "a.kubernetes.io", false],
  ["*kubernetes.io", "kubernetes.io", true],
  ["*.*.*.kubernetes.io", "a.b.c.kubernetes.io", true],
  ["kubernetes.io", "kubernetes.com", false],
  ["k*.io", "quay.io", false],
  ["*.kubernetes.io:1234/blah", "prefix.kubernetes.io:1111/blah", false],
  ["prefix.*.io/foo", "prefix.kubernetes.io:1111/foo/bar", false],
  // Paths are prefixes as plain strings.
  ["registry.example.com/foo", "registry.example.com/foobar", true],
  ["registry.example.com/foo/", "registry.example.com/foo", false],
  ["registry.example.com/%66oo", "registry.example.com/foo", true],
  ["registry.example.com/%", "registry.example.com/foo", false],
  // Not 443, and no port is no wildcard.
  ["registry.example.com:443", "registry.example.com/app", false],
  ["registry.example.com", "registry.example.com:443/app", false],
  // As URLs: what is before an @ and after a ? or a # does not count.
  ["user@registry.example.com?a#b", "registry.example.com/app", true],
  ["Registry.example.com", "registry.example.com/app", false],
  ["[::1]:5000", "[::1]:5000/app", true],
  ["registr[xy].example.com", "registry.example.com/app", false],
  ["[::1", "[::1/app", false],
];

it.each(CASES)("whether the pattern %s matches %s: %j", (pattern, image, isMatch) => {
  expect(patternMatches(pattern, image)).toBe(isMatch);
  expect(isAskedAbout({ matchImages: ["none.example.com", pattern] }, image)).toBe(isMatch);
});

it("asks a provider without patterns about every image", () => {
  expect(isAskedAbout({ matchImages: [] }, "registry.example.com/app")).toBe(true);
});

it("sorts the keys that match as kubelet tries them", () => {
  const keys = [
    "*.example.com",
    "http://registry.example.com/",
    "https://registry.example.com/v1/team-a",
    "registry.example.com/team",
    "registry.example.com/v2/",
    "other.example.com",
    "registry.example.com/%",
    "[bad",
  ];
  expect(matchingKeys(keys, "registry.example.com/team-a/app")).toEqual([
    "https://registry.example.com/v1/team-a",
    "registry.example.com/team",
    "http://registry.example.com/",
    "registry.example.com/v2/",
    "*.example.com",
  ]);
});

describe("what a provider is asked", () => {
  it.each<[address: string, hosts: readonly string[], images: readonly string[]]>([
    ["registry.example.com", [], ["registry.example.com/pullpass"]],
    [
      "registry.example.com:5000/team-a/app",
      ["ignored.example.com"],
      ["registry.example.com:5000/team-a/app"],
    ],
    ["https://index.docker.io/v1/", [], ["docker.io/pullpass"]],
    ["*.example.com", [], []],
    [
      "*.example.com/team-a",
      ["a.example.com", "b.example.com/team-a/app", "a.example.com/team-a", "a.example.org", "*.example.com"],
      ["a.example.com/team-a", "b.example.com/team-a/app"],
    ],
  ])("for the address %s with the hosts %j", (address, hosts, images) => {
    const registry = { address: parseAddress(address), hosts: hosts.map(parseAddress) };
    expect(requestsFor(registry).map(({ image }) => image)).toEqual(images);
  });
});
