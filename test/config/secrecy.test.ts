import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkConfiguration } from "../../src/cli/check.ts";
import type { Configuration } from "../../src/config/configuration.ts";
import { readCredentials } from "../../src/config/credentials.ts";
import { InvalidConfigurationError } from "../../src/config/diagnostics.ts";
import { anySlips, makeSlips } from "./any-slip.ts";
import { loadText } from "./load-text.ts";

/** Every place where a password or a token can stand, in every style of YAML. */
function configurationWith(secret: string): string {
  return `registries:
  - name: basic
    address: a.com
    auth:
      type: BasicAuth
      username: u
      password: ${secret}
  - { name: token, address: b.com, auth: { type: Token, token: "${secret}" } }
  - name: named-token
    address: c.com
    auth: { type: Token, username: u, token: '${secret}' }
  - name: folded
    address: d.com
    auth:
      type: BasicAuth
      password: >-
        ${secret}
      username: u
privateRegistries:
  - "u:${secret}@e.com"
  - u:x@${secret}:y@f.com
  - host: g.com
    user: u
    password: ${secret}
  - { host: h.com, user: u, password: "${secret}" }
  - '{"host": "i.com", "user": "u", "password": "${secret}"}'
`;
}

/** All that a person or a log could be shown of a configuration, or of what is wrong with it. */
function everythingShownOf(text: string): string {
  const shown = (value: unknown): string =>
    inspect(value, { depth: Infinity, showHidden: true, getters: true }) +
    JSON.stringify(value) +
    String(value);
  const configuration = loadOrError(text);
  if (configuration instanceof Error) return shown(configuration) + shown(configuration.diagnostics);
  return shown(configuration) + checkConfiguration(configuration, {}).lines.join("\n");
}

function loadOrError(text: string): Configuration | InvalidConfigurationError {
  try {
    return loadText(text);
  } catch (error) {
    if (error instanceof InvalidConfigurationError) return error;
    throw error;
  }
}

/** Passwords as generators make them; distinct from every word of a message. */
const secret = fc.stringMatching(/^[A-Za-z][A-Za-z0-9]{3,10}[0-9][A-Za-z0-9]{4,10}$/);

describe("a password in the configuration", () => {
  it("is read from all of its places", () => {
    const { registries } = loadText(configurationWith("made-up-1"));
    const passwords = registries.flatMap((registry) =>
      readCredentials(registry, {}).map(({ password }) => password),
    );
    expect(passwords).toEqual([
      ...Array<string>(5).fill("made-up-1"),
      "x@made-up-1:y",
      ...Array<string>(3).fill("made-up-1"),
    ]);
  });

  it("is not shown of a good configuration", () => {
    fc.assert(
      fc.property(secret, (password) => {
        expect(everythingShownOf(configurationWith(password)).includes(password)).toBe(false);
      }),
      { numRuns: 20 },
    );
  });

  it("is not shown of one with characters too many, too few, or wrong", () => {
    fc.assert(
      fc.property(secret, anySlips, (password, slips) => {
        const text = makeSlips(configurationWith(password), slips);
        expect(everythingShownOf(text).includes(password) ? text : "").toBe("");
      }),
      { numRuns: 1000 },
    );
  });

  const MARKER = "xK3m9Qp2";

  it.each([
    `registries: [{ name: a, address: a.com, auth: { type: BasicAuth, username: u, password: [${MARKER}] } }]`,
    `registries: [{ name: a, address: a.com, auth: { type: BasicAuth, username: u, password: { ${MARKER}: 1 } } }]`,
    `registries: [{ name: a, address: a.com, auth: { type: BasicAuth, username: u, ${MARKER} } }]`,
    `registries: [{ name: a, address: a.com, auth: { type: BasicAuth, username: u, ${MARKER}: 1 } }]`,
    `registries: [{ name: a, address: a.com, auth: { type: BasicAuth, username: "u:${MARKER}" } }]`,
    `registries: [{ name: a, address: a.com, auth: { type: BasicAuth, user: u, pass: ${MARKER} } }]`,
    `registries: [{ name: a, address: a.com, auth: { type: ${MARKER} } }]`,
    `registries: [{ name: a, address: a.com, auth: ${MARKER} }]`,
    `registries: [{ name: a, address: a.com, auth: { type: Token, token: ${MARKER}, tokenFrom: { env: A } } }]`,
    `registries: [{ name: a, address: a.com, auth: { type: Token, tokenFrom: ${MARKER} } }]`,
    `registries: [{ name: a, address: a.com, auth: { type: Token, tokenFrom: { ${MARKER} } } }]`,
    `registries: [{ name: a, address: a.com, auth: { type: Secret, name: "${MARKER}" } }]`,
    `registries: [{ name: a, address: "u:${MARKER}@a.com" }]`,
    `registries: [{ name: a, address: a.com, secretName: "${MARKER}" }]`,
    `registries: [{ name: a, address: a.com, hosts: ["${MARKER}@a.com"], use: [${MARKER}] }]`,
    `registries: ["u:${MARKER}@a.com"]`,
    `registries: { "u:${MARKER}@a.com": a.com }`,
    `registries: "u:${MARKER}@a.com"`,
    `"u:${MARKER}@a.com"`,
    `"u:${MARKER}@a.com": a`,
    `privateRegistries: "u:${MARKER}@a.com"`,
    `privateRegistries: [u:${MARKER}@a.com, u:${MARKER}@b.com ]\nprivateRegistries: []`,
    `privateRegistries: ["u:${MARKER}"]`,
    `privateRegistries: ["u:${MARKER}@"]`,
    `privateRegistries: ["${MARKER}@a.com"]`,
    `privateRegistries: ["ftp://u:${MARKER}@a.com"]`,
    `privateRegistries: ["u:%${MARKER}@a.com"]`,
    `privateRegistries: ["u:${MARKER}@a.com/${MARKER}"]`,
    `privateRegistries: ['{"host": "a.com", "user": "u", "password": "${MARKER}"']`,
    `privateRegistries: [{ host: "u:${MARKER}@a.com", user: u, password: ${MARKER} }]`,
    `privateRegistries: [{ "u:${MARKER}@a.com" }]`,
    `privateRegistries: [[${MARKER}]]`,
    `connections: [{ kind: registry, name: a, schema: { url: "https://u:${MARKER}@a.com" }, secret: { name: s } }]`,
    `connections: [{ kind: registry, name: a, schema: "https://u:${MARKER}@a.com" }]`,
    `a: *${MARKER}`,
    `a: !${MARKER} b`,
    `a: &${MARKER} &b c`,
    `a: |${MARKER}\n b`,
    `a: "\\${MARKER}"`,
    `a: @${MARKER}`,
    `%${MARKER}\n---\na: b`,
    `a: ${MARKER}: b`,
    MARKER,
    `${MARKER}: &a {b: *a}`,
  ])("is not shown of %s", (text) => {
    expect(everythingShownOf(text).includes(MARKER)).toBe(false);
  });
});
