import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseChallenges, type Challenge } from "../../src/registry/challenge.ts";

/** With parameters as an object, which is easier to read than a map. */
function parsed(header: string): unknown {
  return parseChallenges(header)?.map(({ scheme, parameters, token68 }) => ({
    scheme,
    ...(parameters.size > 0 && { parameters: Object.fromEntries(parameters) }),
    ...(token68 !== undefined && { token68 }),
  }));
}

describe("a challenge is read by RFC 9110", () => {
  it.each([
    ["", []],
    [" , ,", []],
    ['Basic realm="x"', [{ scheme: "basic", parameters: { realm: "x" } }]],
    ["BASIC Realm=x", [{ scheme: "basic", parameters: { realm: "x" } }]],
    [
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
      [
        {
          scheme: "bearer",
          parameters: { realm: "https://auth.docker.io/token", service: "registry.docker.io" },
        },
      ],
    ],
    [
      'Bearer realm="https://x/?a=1,b=2" , scope="repository:a/b:pull,push"',
      [{ scheme: "bearer", parameters: { realm: "https://x/?a=1,b=2", scope: "repository:a/b:pull,push" } }],
    ],
    [
      'Basic realm="a", Bearer realm="b",service=c',
      [
        { scheme: "basic", parameters: { realm: "a" } },
        { scheme: "bearer", parameters: { realm: "b", service: "c" } },
      ],
    ],
    ["Negotiate", [{ scheme: "negotiate" }]],
    ["Negotiate YII+/a-b._~==", [{ scheme: "negotiate", token68: "YII+/a-b._~==" }]],
    [
      'Negotiate, NTLM TlRM=, Basic realm="x"',
      [
        { scheme: "negotiate" },
        { scheme: "ntlm", token68: "TlRM=" },
        { scheme: "basic", parameters: { realm: "x" } },
      ],
    ],
    [
      'Basic realm = "a b" ,, charset="UTF-8"',
      [{ scheme: "basic", parameters: { realm: "a b", charset: "UTF-8" } }],
    ],
    ['Basic ,realm="x"', [{ scheme: "basic", parameters: { realm: "x" } }]],
    [
      String.raw`Basic realm="a \"b\" \\ c"`,
      [{ scheme: "basic", parameters: { realm: String.raw`a "b" \ c` } }],
    ],
    ['Basic realm=""', [{ scheme: "basic", parameters: { realm: "" } }]],
    [
      'New fish="c,hips", Basic realm="x"',
      [
        { scheme: "new", parameters: { fish: "c,hips" } },
        { scheme: "basic", parameters: { realm: "x" } },
      ],
    ],
  ])("%j", (header, expected) => {
    expect(parsed(header)).toEqual(expected);
  });

  it.each([
    ['realm="x"', "no scheme"],
    ['Basic realm="x', "a quote without an end"],
    ['Basic realm="x" service="y"', "no comma between parameters"],
    ["Basic realm=https://x", "a URL without quotes"],
    ["Basic realm=a, realm=b", "a parameter twice"],
    ["Negotiate YII=, realm=x", "a parameter after a token68"],
    ["Basic YII== x", "something after a token68"],
    ["Bäsic", "a scheme that is no token"],
    ["Basic =", "a parameter without a name"],
  ])("%s is not read: %s", (header) => {
    expect(parseChallenges(header)).toBeUndefined();
  });

  it("a long header takes no long time", () => {
    const started = performance.now();
    for (const text of [
      "a".repeat(50_000),
      `a ${"b=c,".repeat(12_000)}"`,
      `a b="${"\\".repeat(50_001)}`,
      " ".repeat(50_000),
    ]) {
      parseChallenges(text);
    }
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe("any challenge", () => {
  const tokenCharacters = "!#$%&'*+.^_`|~0123456789abcdefghijklmnopqrstuvwxyz-";
  const token = fc.string({
    unit: fc.constantFrom(...Array.from(tokenCharacters)),
    minLength: 1,
    maxLength: 8,
  });
  const value = fc.string({ unit: fc.constantFrom(...Array.from('ab,="\\ /:\t')), maxLength: 12 });
  const challenge: fc.Arbitrary<Challenge> = fc.oneof(
    fc.record({
      scheme: token,
      parameters: fc.array(fc.tuple(token, value), { maxLength: 4 }).map((entries) => new Map(entries)),
      token68: fc.constant(undefined),
    }),
    fc.record({
      scheme: token,
      parameters: fc.constant(new Map<string, string>()),
      token68: fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,8}={0,2}$/),
    }),
  );
  const format = ({ scheme, parameters, token68 }: Challenge): string => {
    const quoted = [...parameters].map(
      ([name, text]) => `${name}="${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`,
    );
    return [scheme, token68 ?? quoted.join(", ")].join(" ").trimEnd();
  };

  it("is read as it was written, among others", () => {
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), (challenges) => {
        expect(parseChallenges(challenges.map(format).join(" ,"))).toEqual(challenges);
      }),
    );
  });

  it("or any text at all does not make the reader throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('ab=," \\\tBé')) }), (header) => {
        expect(() => parseChallenges(header)).not.toThrow();
      }),
    );
  });
});
