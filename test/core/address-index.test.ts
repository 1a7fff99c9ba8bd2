import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { indexAddresses } from "../../src/core/address-index.ts";
import { addressCovers, parseAddress, splitRepository } from "../../src/core/address.ts";
import { anyAddress, anyRepository, repositoryUnder } from "./any-address.ts";

/** The addresses that cover a repository, as they were written. */
function covering(addresses: readonly string[], repository: string): readonly (readonly string[])[] {
  const entries = addresses.map((text) => ({ text, address: parseAddress(text) }));
  const groups = indexAddresses(entries)(splitRepository(repository));
  return groups.map((group) => group.map(({ text }) => text));
}

describe("indexAddresses", () => {
  it("README example", () => {
    const addresses = ["registry.example.com", "registry.example.com/team-a", "*.example.com", "docker.io"];
    expect(covering(addresses, "registry.example.com/team-a/app")).toEqual([
      ["registry.example.com/team-a"],
      ["registry.example.com"],
      ["*.example.com"],
    ]);
    expect(covering(addresses, "quay.io/app")).toEqual([]);
  });

  it("keeps what has one address together, however it is written, in the order given", () => {
    const addresses = ["a.com/v1/", "b.com", "https://a.com", "*.com", "a.com"];
    expect(covering(addresses, "a.com/app")).toEqual([["a.com/v1/", "https://a.com", "a.com"], ["*.com"]]);
  });

  it.each([
    ["*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu-1.amazonaws.com/app", true],
    ["*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu.1.amazonaws.com/app", false],
    ["a*a.com", "aa.com/app", true],
    ["a*a.com", "a.com/app", false],
    ["ab*ab.com", "ab.com/app", false],
    ["*:5000", "[::1]:5000/app", true],
    ["*", "[::1]/app", true],
    ["registry.*", "registry.com/app", true],
    ["a.*.com", "a.com/app", false],
    ["*.com:5000", "a.com:5000/app", true],
    ["*.com:5000", "a.com/app", false],
    ["a*.com", "ax.com/app", true],
    ["a*.com", "bx.com/app", false],
    ["ab*.com", "ax.com/app", false],
    ["*.com", "a.org/app", false],
    ["*.com/team", "a.com/team/app", true],
    ["*.com/team", "a.com/teams/app", false],
    ["*.com", `${"a".repeat(249)}.com/app`, true],
    ["*.com", `${"a".repeat(250)}.com/app`, false],
  ])("%s covers %s: %s", (address, repository, isCovered) => {
    expect(covering([address], repository)).toEqual(isCovered ? [[address]] : []);
  });

  it("finds what a comparison with each address finds", () => {
    const addresses = fc.array(anyAddress, { maxLength: 12 });
    const repositories = addresses.chain((all) =>
      fc.tuple(fc.constant(all), fc.oneof(anyRepository, ...all.map(repositoryUnder))),
    );
    fc.assert(
      fc.property(repositories, ([all, repository]) => {
        const entries = all.map((address) => ({ address }));
        const found = indexAddresses(entries)(splitRepository(repository)).flat();
        const expected = entries.filter(({ address }) => addressCovers(address, splitRepository(repository)));
        expect(new Set(found)).toEqual(new Set(expected));
        expect(found).toHaveLength(expected.length);
      }),
      { numRuns: 2000 },
    );
  });
});
