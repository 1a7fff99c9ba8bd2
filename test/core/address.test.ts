import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addressCovers,
  compareSpecificity,
  coversOnAnotherPort,
  InvalidAddressError,
  parseAddress,
  splitRepository,
} from "../../src/core/address.ts";
import { parseImageReference, repositoryName } from "../../src/core/image-reference.ts";

interface MatchRow {
  readonly id: string;
  readonly pattern: string;
  readonly image: string;
  readonly match: boolean;
  readonly recommendedForWebhook?: boolean;
}

const keyring = JSON.parse(
  readFileSync(new URL("../fixtures/cases/keyring.json", import.meta.url), "utf8"),
) as {
  readonly match: readonly MatchRow[];
  readonly ordering: readonly {
    readonly id: string;
    readonly keys: readonly string[];
    readonly image: string;
    readonly expected: readonly string[];
  }[];
  readonly normalisation: readonly {
    readonly id: string;
    readonly configKey: string;
    readonly indexKey: string | null;
  }[];
};

/** A text that is no address covers nothing, and neither does an image that is none. */
function covers(pattern: string, image: string): boolean {
  try {
    const repository = splitRepository(repositoryName(parseImageReference(image)));
    return addressCovers(parseAddress(pattern), repository);
  } catch {
    return false;
  }
}

function getString(input: string): string | null {
  try {
    return parseAddress(input).text;
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidAddressError);
    return null;
  }
}

it("README example", () => {
  expect(covers("registry.example.com/team-a", "registry.example.com/team-a/app:v1")).toBe(true);
  expect(covers("registry.example.com/team-a", "registry.example.com/team-abc/app:v1")).toBe(false);
});

describe("addressCovers", () => {
  it.each([
    ["registry.example.com:5000", "registry.example.com/app", false],
    ["registry.example.com", "registry.example.com:443/app", false],
    ["registry.example.com:5000", "registry.example.com:5000/app", true],
    ["*.example.com:5000", "registry.example.com:5001/app", false],
    ["*.example.com", "a.registry.example.com/app", false],
    ["reg*y.example.com", "registry.example.com/app", true],
    ["*r*e*y.example.com", "registry.example.com/app", true],
    ["a*.example.com", "a.b.example.com/app", false],
    ["*example.com", "a.example.com/app", false],
    ["*.exam*.com", "registry.sample.com/app", false],
    ["registry*.example.com", "registry.example.com/app", true],
    ["registry.example.com", "registry.example.com/app", true],
    ["registry.example.com/app", "registry.example.com/app", true],
    ["registry.example.com/app", "registry.example.com/app/web", true],
    ["registry.example.com/app", "registry.example.com/apps", false],
    ["[::1]:5000", "[::1]:5000/app", true],
    ["*:5000", "[::1]:5000/app", true],
  ])("%s, %s: %s", (address, image, isCovered) => {
    expect(covers(address, image)).toBe(isCovered);
  });

  /** Rows of kubelet's table that we decide otherwise on purpose, and what makes us. */
  const OURS: ReadonlyMap<string, readonly [match: boolean, reason: string]> = new Map([
    ["key-058", [false, "a path ends at a slash: /team-a is not /team-abc"]],
    ["key-061", [true, "a last slash is taken off, so /team-a/ covers the repository /team-a, too"]],
    ["key-124", [false, "Docker Hub's old key is docker.io, and never localhost"]],
  ]);

  it.each(keyring.match.filter((row) => !OURS.has(row.id)))(
    "decides as kubelet that $pattern and $image: $match ($id)",
    ({ pattern, image, match, recommendedForWebhook }) => {
      expect(covers(pattern, image)).toBe(recommendedForWebhook ?? match);
    },
  );

  it.each([...OURS])("differs from kubelet in %s", (id, [match]) => {
    const row = keyring.match.find((candidate) => candidate.id === id);
    expect(row?.match).toBe(!match);
    expect(covers(row?.pattern ?? "", row?.image ?? "")).toBe(match);
  });

  it.each([
    ["a.com:5000", "a.com/app", true],
    ["a.com", "a.com:5000/app", true],
    ["*.a.com:443/team", "x.a.com/team/app", true],
    ["a.com", "a.com/app", false],
    ["a.com:5000", "b.com/app", false],
    ["a.com:5000/team", "a.com/other/app", false],
  ])("%s would cover %s on another port: %s", (address, repository, isCovered) => {
    expect(coversOnAnotherPort(parseAddress(address), splitRepository(repository))).toBe(isCovered);
  });

  it("lets a star stand for any run within a label", () => {
    const host = fc.string({ unit: fc.constantFrom("a", "b", ".", "*"), maxLength: 8 });
    const name = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 8 });
    fc.assert(
      fc.property(host, name, (pattern, text) => {
        const address = { ...parseAddress("*.com"), host: pattern };
        const expected = new RegExp(`^${pattern.replaceAll(".", "[.]").replaceAll("*", "[^.]*")}$`).test(
          text,
        );
        expect(addressCovers(address, { authority: text, path: "app" })).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it("takes time that grows no faster than the product of the lengths, whatever the stars", () => {
    const address = parseAddress(`${"*a".repeat(30)}b`);
    const start = performance.now();
    expect(addressCovers(address, splitRepository(`${"a".repeat(60)}/app`))).toBe(false);
    expect(performance.now() - start).toBeLessThan(50);
  });
});

describe("compareSpecificity", () => {
  /** kubelet tries /a for a-b/c as well, and there a longer path is not always first; a migration needs all, we need one. */
  it.each(keyring.ordering.filter(({ id }) => id !== "order-10"))(
    "tries $expected as kubelet does ($id)",
    ({ keys, image, expected }) => {
      const ordered = keys
        .filter((key) => covers(key, image))
        .toSorted((a, b) => compareSpecificity(parseAddress(a), parseAddress(b)));
      expect(ordered).toEqual(expected);
    },
  );

  it.each([
    ["a longer path", "*.com/team", "example.com"],
    ["then a host without a star", "a.com/x", "*.com/x"],
    ["then the longer text", "reg*.example.com", "*.example.com"],
  ])("puts %s first", (_rule, first, second) => {
    expect(compareSpecificity(parseAddress(first), parseAddress(second))).toBeLessThan(0);
    expect(compareSpecificity(parseAddress(second), parseAddress(first))).toBeGreaterThan(0);
  });
});

describe("parseAddress", () => {
  /** Keys that kubelet reads as something that no image matches; we say so instead. */
  const REFUSED: ReadonlySet<string> = new Set(["norm-16", "norm-22"]);

  it.each(keyring.normalisation)("reads $configKey as $indexKey ($id)", ({ id, configKey, indexKey }) => {
    const expected = indexKey === "index.docker.io" ? "docker.io" : indexKey;
    expect(getString(configKey)).toBe(REFUSED.has(id) ? null : expected);
  });

  const NO_HOST =
    "the host of an image has a dot or a port, or is localhost; without them the image is Docker Hub's";

  it.each([
    ["https://index.docker.io/v1", "docker.io"],
    ["https://index.docker.io/v1/", "docker.io"],
    ["index.docker.io/v1", "docker.io/v1"],
    ["https://index.docker.io/v1x", "docker.io/v1x"],
    ["https://a.com/v1", "a.com/v1"],
    ["registry:5000", "registry:5000"],
    ["localhost/app", "localhost/app"],
    ["Registry/app", "Registry/app"],
  ])("reads %s as %s", (input, text) => {
    expect(getString(input)).toBe(text);
  });

  it.each([
    ["", "it is empty"],
    ["a b.com", "it holds white space"],
    ["docker://a.com", "the scheme has to be http:// or https://, or none"],
    ["user:made-up-password@a.com", "it holds an @; user name and password go under auth"],
    ["registry?.example.com", "it holds a ? or a #, which end the host of a URL"],
    ["[::1", "the host is not a DNS name or an IP address"],
    ["a.com:*", "the port has to be a number; a * stands only within a label of the host"],
    ["a.com:", "the port has to be a number; a * stands only within a label of the host"],
    ["[::1]", "kubelet never matches an IPv6 address without a port; add the port"],
    ["a..com", "each label of the host has to be letters, digits, - and *, not empty"],
    ["-a.com", "each label of the host has to be letters, digits, - and *, not empty"],
    ["registry", NO_HOST],
    ["team/app", NO_HOST],
    ["a.com/*/app", "a * stands only in the host, never in the path"],
    ["a.com//app", "the path cannot begin a repository: those are lower case, without empty parts"],
    ["a.com/App", "the path cannot begin a repository: those are lower case, without empty parts"],
  ])("refuses %j", (input, reason) => {
    expect(() => parseAddress(input)).toThrow(new InvalidAddressError(reason));
  });

  it("gives the same address again for its own text", () => {
    fc.assert(
      fc.property(addressText, (input) => {
        const text = getString(input);
        if (text !== null) expect(getString(text)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it("throws nothing but its own error, which does not repeat the text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), addressText), (input) => {
        try {
          parseAddress(input);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidAddressError);
          expect((error as Error).message).toBe(
            `not a registry address: ${(error as InvalidAddressError).reason}`,
          );
        }
      }),
    );
  });
});

const addressText = fc
  .array(
    fc.constantFrom(
      "https://",
      "/v1/",
      "/v2/",
      "index.",
      "docker.io",
      "a",
      "*",
      ".",
      ":",
      "5000",
      "/",
      "-",
      "[::1]",
    ),
    {
      maxLength: 8,
    },
  )
  .map((parts) => parts.join(""));

it("splitRepository keeps a first component that is no host, as kubelet does", () => {
  expect(splitRepository("a]b/app")).toEqual({ authority: "a]b", path: "app" });
});
