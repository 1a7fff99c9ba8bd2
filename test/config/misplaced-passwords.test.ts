/**
 * People put passwords into the wrong field. A marker goes into every field of every kind of entry, as its value and as a key
 * beside it, and nothing that Pullpass prints, logs or writes into an Event may contain it.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { checkConfiguration } from "../../src/cli/check.ts";
import { explainImage, explanationText } from "../../src/core/explain-image.ts";
import { CredentialSources } from "../../src/serve/credential-sources.ts";
import { createFaultReport, type SourceFault } from "../../src/serve/fault-report.ts";
import type { Configuration } from "../../src/config/configuration.ts";
import { InvalidConfigurationError } from "../../src/config/diagnostics.ts";
import { parseAddress } from "../../src/core/address.ts";
import { isObject, type JsonObject } from "../../src/core/kubernetes.ts";
import { indexRegistries } from "../../src/core/registry.ts";
import { credentialsInSecret, UnusableSecretError } from "../../src/core/source-secret.ts";
import { anySlips, makeSlips } from "./any-slip.ts";
import { loadText } from "./load-text.ts";

const REGISTRY = {
  name: "a",
  displayName: "A",
  address: "a.com",
  namespaces: {
    matchLabels: { team: "a" },
    matchExpressions: [{ key: "team", operator: "In", values: ["a"] }],
  },
  use: ["pull"],
  secretName: "a",
  hosts: ["b.com"],
};

function withAuth(auth: JsonObject): JsonObject {
  return { registries: [{ name: "a", address: "a.com", auth }] };
}

/** One entry of each kind, with all of its fields. */
const ENTRIES: Readonly<Record<string, JsonObject>> = {
  "registries without auth": { registries: [REGISTRY] },
  password: withAuth({ type: "BasicAuth", username: "u", password: "p" }),
  "passwordFrom.file": withAuth({ type: "BasicAuth", username: "u", passwordFrom: { file: "f" } }),
  token: withAuth({ type: "Token", username: "u", token: "t" }),
  "tokenFrom.env": withAuth({ type: "Token", username: "u", tokenFrom: { env: "E" } }),
  DockerConfig: withAuth({ type: "DockerConfig", file: "config.json" }),
  Secret: withAuth({ type: "Secret", name: "s", namespace: "n" }),
  "privateRegistries as URIs": { privateRegistries: ["u:p@a.com"] },
  "privateRegistries as mappings": { privateRegistries: [{ host: "a.com", user: "u", password: "p" }] },
  "privateRegistries as JSON": { privateRegistries: ['{"host":"a.com","username":"u","password":"p"}'] },
  connections: {
    connections: [
      {
        name: "c",
        kind: "registry",
        schema: { url: "https://a.com" },
        secret: { name: "s", mountPath: "/k" },
      },
    ],
  },
  builders: { builders: [{ name: "k", images: ["k"], dockerConfigPath: "/k" }] },
  podTemplates: { podTemplates: [{ group: "example.com", kind: "Worker", path: "spec.template" }] },
  serviceAccounts: { serviceAccounts: { attach: ["default"] } },
};

type Path = readonly (string | number)[];

/** Every place in a document, from the whole to its last leaf. */
function placesIn(value: unknown, path: Path = []): readonly Path[] {
  const children = Array.isArray(value)
    ? value.map((child: unknown, index) => [index, child] as const)
    : isObject(value)
      ? Object.entries(value)
      : [];
  return [path, ...children.flatMap(([key, child]) => placesIn(child, [...path, key]))];
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (current, key) => (current as Readonly<Record<string | number, unknown>>)[key],
    value,
  );
}

function replaceAt(value: unknown, path: Path, replacement: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return replacement;
  if (Array.isArray(value)) {
    return value.map((child: unknown, index) =>
      index === key ? replaceAt(child, rest, replacement) : child,
    );
  }
  return Object.fromEntries(
    Object.entries(value as JsonObject).map(([name, child]) => [
      name,
      name === key ? replaceAt(child, rest, replacement) : child,
    ]),
  );
}

/** The ways to put a password into a place by mistake. */
const MISTAKES: readonly ((old: unknown, marker: string) => unknown)[] = [
  (_old, marker) => marker,
  (_old, marker) => [marker],
  (_old, marker) => ({ [marker]: "x" }),
  (old, marker) => (isObject(old) ? { ...old, [marker]: "x" } : `${String(old)}:${marker}`),
  (old, marker) => (isObject(old) ? { ...old, [marker]: null } : `${String(old)}@${marker}`),
  (old, marker) => (isObject(old) ? { [`u:${marker}@a.com`]: old } : `${String(old)}\n${marker}`),
  (old, marker) => (isObject(old) ? { ...old, pasword: marker } : `u:${marker}@a.com`),
  (old, marker) =>
    Array.isArray(old) ? [...(old as unknown[]), marker] : { auths: { "a.com": { auth: marker } } },
  (_old, marker) => `{"auths":{"a.com":{"auth":"${marker}"}}}`,
  (_old, marker) => `-----BEGIN ${marker}-----`,
];

/** Whether a value is published by design, because it is valid for its field: see diagnostics.ts. */
function isPublished(field: string, value: unknown): boolean {
  if (typeof value !== "string") return false;
  if (/(?:^|\.)(?:address|host|url)$/.test(field))
    return !value.includes("@") && value !== value.toLowerCase();
  if (field === "connections.0.name") return /^[\w.-]+$/.test(value);
  return /(?:^|\.)(?:name|secretName|namespace)$/.test(field) && /^[a-z0-9]+$/.test(value);
}

/** All that a person, the log or an Event is shown. */
function everythingShownOf(text: string): string {
  const shown: unknown[] = [];
  try {
    const configuration = loadText(text);
    shown.push(checkConfiguration(configuration, {}).lines);
    const index = indexRegistries(configuration.registries);
    shown.push(
      ["a.com/app", "a.com:5000/app", "app"].map((image) => explanationText(explainImage(image, index))),
    );
    shown.push(...serveFaults(configuration));
  } catch (error) {
    if (!(error instanceof InvalidConfigurationError)) throw error;
    shown.push(error.message, error.stack, error.diagnostics, error.cause);
  }
  return JSON.stringify(shown);
}

/** What `serve` logs and writes into Events of credentials that it cannot read. */
function serveFaults(configuration: Configuration): readonly unknown[] {
  const shown: unknown[] = [];
  const report = createFaultReport(
    { error: (...logged: readonly unknown[]) => void shown.push(logged) } as never,
    (event) => void shown.push(event),
    { isLeading: () => true, isPod: false },
  );
  const secretChanges: ((state: "missing") => void)[] = [];
  const keeper = new CredentialSources({
    environment: {},
    ownNamespace: "pullpass",
    watchSecret: (_secret, onChange) => {
      secretChanges.push(onChange);
      return { asked: Promise.resolve(), close: () => undefined };
    },
    onChange: (sources, faults: readonly SourceFault[]) => {
      report.report(faults, sources);
    },
  });
  keeper.setConfiguration(configuration);
  for (const change of secretChanges) change("missing");
  keeper.close();
  return shown;
}

const MIXED = "xK3m9Qp2vT";

function leaks(shown: string, marker: string): boolean {
  return shown.toLowerCase().includes(marker.toLowerCase());
}

/** The texts in which the marker is shown, of all mistakes at one place. */
function leaksAt(entry: JsonObject, place: Path): readonly string[] {
  const field = place.join(".");
  const found: string[] = [];
  for (const marker of [MIXED, MIXED.toLowerCase()]) {
    for (const mistake of MISTAKES) {
      const wrong = mistake(valueAt(entry, place), marker);
      if (isPublished(field, wrong)) continue;
      const value = replaceAt(entry, place, wrong);
      for (const text of [stringify(value), stringify(value, { collectionStyle: "flow" })]) {
        if (leaks(everythingShownOf(text), marker)) found.push(text);
      }
    }
  }
  return found;
}

describe("a password in the wrong field", () => {
  it.each(Object.entries(ENTRIES))("is not shown: %s", (_kind, entry) => {
    expect(placesIn(entry).flatMap((place) => leaksAt(entry, place))).toEqual([]);
  });

  it("is not shown of a text with slips", () => {
    const texts = Object.entries(ENTRIES).flatMap(([, entry]) =>
      placesIn(entry)
        .filter((place) => !/(?:^|\.)(?:address|host|url|connections\.0\.name)$/.test(place.join(".")))
        .map((place) => stringify(replaceAt(entry, place, MIXED))),
    );
    fc.assert(
      fc.property(fc.constantFrom(...texts), anySlips, (text, slips) => {
        const written = makeSlips(text, slips);
        expect(leaks(everythingShownOf(written), MIXED) ? written : "").toBe("");
      }),
      { numRuns: 500 },
    );
  });
});

describe("a password in the wrong place of a source", () => {
  const ENTRY = { username: "u", password: "p", auth: btoa("u:p"), email: "e", identitytoken: "t" };
  const DOCUMENT = {
    auths: { "a.com": ENTRY, "b.com": ENTRY },
    credHelpers: { "a.com": "helper" },
    credsStore: "store",
  };

  function secret(type: string, values: Readonly<Record<string, unknown>>): JsonObject {
    const texts = Object.entries(values).map(([key, value]) => [
      key,
      btoa(typeof value === "string" ? value : JSON.stringify(value)),
    ]);
    return { type, data: Object.fromEntries(texts) as JsonObject };
  }

  function messageOf(source: JsonObject): string {
    try {
      credentialsInSecret(source, parseAddress("a.com"));
      return "";
    } catch (error) {
      if (error instanceof UnusableSecretError) return error.message;
      throw error;
    }
  }

  it.each(MISTAKES.map((mistake, index) => [index, mistake] as const))(
    "is not shown of a config.json with mistake %i",
    (_index, mistake) => {
      for (const place of placesIn(DOCUMENT)) {
        const document = replaceAt(DOCUMENT, place, mistake(valueAt(DOCUMENT, place), MIXED));
        const source = secret("kubernetes.io/dockerconfigjson", { ".dockerconfigjson": document });
        expect(leaks(messageOf(source), MIXED) ? JSON.stringify(document) : "").toBe("");
      }
    },
  );

  it("is not shown of a Secret with it as its type, as a key, or with line breaks", () => {
    const sources = [
      secret(MIXED, { username: "u", password: "p" }),
      secret("kubernetes.io/basic-auth", { [MIXED]: "p" }),
      secret("kubernetes.io/basic-auth", { username: `u:${MIXED}`, password: MIXED }),
      secret("kubernetes.io/basic-auth", { username: "u", password: `${MIXED}\n${MIXED}` }),
      secret("Opaque", { "config.json": `${MIXED}\n` }),
      { type: "Opaque", data: { "config.json": MIXED } },
      { type: "Opaque", data: { "config.json": `${MIXED}!` } },
    ];
    for (const source of sources) {
      expect(messageOf(source)).not.toBe("");
      expect(leaks(messageOf(source), MIXED)).toBe(false);
    }
  });
});
