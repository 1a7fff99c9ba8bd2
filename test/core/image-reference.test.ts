import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatImageReference,
  IMAGE_REFERENCE_FAULTS,
  InvalidImageReferenceError,
  isRepositoryPath,
  parseImageReference,
  repositoryName,
} from "../../src/core/image-reference.ts";

const SHA256 = `sha256:${"0123456789abcdef".repeat(4)}`;

interface ReferenceRow {
  readonly id: string;
  readonly input: string;
  readonly valid: boolean;
  readonly domain: string;
  readonly path: string;
  readonly tag: string | null;
  readonly digest: string | null;
  readonly normalizedName: string;
  readonly normalized: string;
}

const { rows } = JSON.parse(
  readFileSync(new URL("../fixtures/cases/reference.json", import.meta.url), "utf8"),
) as { readonly rows: readonly ReferenceRow[] };

function faultOf(input: string): string {
  try {
    parseImageReference(input);
  } catch (error) {
    if (error instanceof InvalidImageReferenceError) return error.fault;
  }
  return "none";
}

describe("parseImageReference", () => {
  it("README example", () => {
    expect(parseImageReference("registry.example.com/team-a/app:v1")).toEqual({
      domain: "registry.example.com",
      path: "team-a/app",
      tag: "v1",
      digest: undefined,
    });
  });

  it.each(rows.filter((row) => row.valid))("reads $input as kubelet does ($id)", (row) => {
    const reference = parseImageReference(row.input);
    expect({ ...reference, tag: reference.tag ?? null, digest: reference.digest ?? null }).toEqual({
      domain: row.domain,
      path: row.path,
      tag: row.tag,
      digest: row.digest,
    });
    expect(repositoryName(reference)).toBe(row.normalizedName);
    expect(formatImageReference(reference)).toBe(row.normalized);
  });

  it.each(rows.filter((row) => !row.valid))("refuses $input as kubelet does ($id)", (row) => {
    expect(() => parseImageReference(row.input)).toThrow(InvalidImageReferenceError);
  });

  it.each([
    ["nginx", "docker.io", "library/nginx"],
    ["localhost/app", "localhost", "app"],
    ["index.docker.io/app", "docker.io", "library/app"],
    ["quay.io/app", "quay.io", "app"],
    ["registry:5000/app", "registry:5000", "app"],
    ["Registry/app", "Registry", "app"],
    ["team/app", "docker.io", "team/app"],
    ["docker.io/team/app", "docker.io", "team/app"],
  ])("divides the domain from %s", (input, domain, path) => {
    expect(parseImageReference(input)).toMatchObject({ domain, path });
  });

  it.each([
    ["", "empty"],
    ["0123456789abcdef".repeat(4), "identifier"],
    ["team/App", "uppercase"],
    ["app@SHA256:0123", "uppercase"],
    ["registry:port/app", "format"],
    ["app:", "format"],
    ["a".repeat(256), "too-long"],
    [`app@${SHA256.replace("sha256", "sha1")}`, "digest-unsupported"],
    [`app@${SHA256.replace("sha256", "-")}`, "format"],
    ["app@sha256", "format"],
    [`app@${SHA256}`.slice(0, -1), "digest-length"],
    [`app@${SHA256.toUpperCase().replace("SHA", "sha")}`, "digest-format"],
  ])("says what is wrong with %j", (input, fault) => {
    expect(faultOf(input)).toBe(fault);
  });

  it("shows a long text shortened", () => {
    const error = new InvalidImageReferenceError("x".repeat(1000), "format");
    expect(error.message).toBe(
      `"${"x".repeat(120)}…" is not an image reference: ${IMAGE_REFERENCE_FAULTS.format}`,
    );
  });

  it("throws nothing but its own error", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), hostileText), (input) => {
        try {
          parseImageReference(input);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidImageReferenceError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("answers hostile texts in time that grows with their length, not faster", () => {
    const hostile = [
      "a-".repeat(50_000),
      `${"a".repeat(100_000)}!`,
      `x@${"a+".repeat(50_000)}:0`,
      "/".repeat(99_999),
    ];
    const start = performance.now();
    for (const text of hostile) expect(() => parseImageReference(text)).toThrow(InvalidImageReferenceError);
    expect(performance.now() - start).toBeLessThan(500);
  });
});

/** Texts of the characters that mean something in a reference. */
const hostileText = fc.string({ unit: fc.constantFrom(...Array.from("aA0.:/@-_[]%*? é")) });

const component = fc
  .array(fc.stringMatching(/^[a-z0-9]{1,6}$/), { minLength: 1, maxLength: 3 })
  .chain((words) =>
    fc.constantFrom(...[".", "_", "__", "-", "---"].map((separator) => words.join(separator))),
  );
const reference = fc.record({
  domain: fc.constantFrom(
    "docker.io",
    "quay.io",
    "localhost",
    "Registry",
    "[::1]:5000",
    "a-b.c.example.com:443",
  ),
  // Two components at least: docker.io puts library/ before one alone.
  path: fc.array(component, { minLength: 2, maxLength: 5 }).map((parts) => parts.join("/")),
  tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/), { nil: undefined }),
  digest: fc.constantFrom(undefined, SHA256, `sha384:${"0a".repeat(48)}`, `sha512:${"f".repeat(128)}`),
});

describe("formatImageReference", () => {
  it("is the inverse of parsing", () => {
    fc.assert(
      fc.property(reference, (parts) => {
        expect(parseImageReference(formatImageReference(parts))).toEqual(parts);
      }),
    );
  });

  it("is a fixed point for whatever can be parsed", () => {
    fc.assert(
      fc.property(hostileText, (input) => {
        if (faultOf(input) !== "none") return;
        const formatted = formatImageReference(parseImageReference(input));
        expect(formatImageReference(parseImageReference(formatted))).toBe(formatted);
      }),
      { numRuns: 2000 },
    );
  });
});

it("isRepositoryPath bounds the length", () => {
  expect(isRepositoryPath("a".repeat(255))).toBe(true);
  expect(isRepositoryPath("a".repeat(256))).toBe(false);
});
