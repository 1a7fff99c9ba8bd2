import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  CredentialSources,
  type CredentialSourcesOptions,
  type ProvidedState,
} from "../../src/serve/credential-sources.ts";
import { configuredRegistry, type ConfiguredRegistry } from "../../src/config/configuration.ts";
import { readRegistryObject } from "../../src/config/registry-objects.ts";
import { parseAddress } from "../../src/core/address.ts";
import type { SourceFault } from "../../src/serve/fault-report.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import type { Source } from "../../src/core/replication.ts";
import { loadConfiguration } from "../../src/config/load.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

function basicAuthSecret(password: string): JsonObject {
  return {
    type: "kubernetes.io/basic-auth",
    data: { username: base64("made-up"), password: base64(password) },
  };
}

const NOTHING: ProvidedState = {
  ...{ credentials: [], fault: undefined, changedAt: undefined, nextRefreshAt: undefined },
  graceEndsAt: Infinity,
};

let directory: string;
let keeper: CredentialSources | undefined;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "pullpass-sources-"));
});
afterEach(() => {
  keeper?.close();
  rmSync(directory, { recursive: true });
});

/** A keeper, the Secrets that it watches, and what it said last. */
function keep() {
  const watched = new Map<string, (state: JsonObject | "missing") => void>();
  const asked = new Map<string, () => void>();
  const last: { sources: readonly Source[]; faults: readonly SourceFault[] } = { sources: [], faults: [] };
  keeper = new CredentialSources({
    environment: { TEAM_PASSWORD: "made-up of the environment" },
    ownNamespace: "pullpass",
    watchSecret({ namespace, name }, onChange) {
      const key = `${namespace}/${name}`;
      watched.set(key, onChange);
      return {
        asked: new Promise((resolve) => asked.set(key, resolve)),
        close: () => void watched.delete(key),
      };
    },
    onChange(sources, faults) {
      Object.assign(last, { sources, faults });
    },
  });
  const configure = (text: string): void => {
    keeper?.setConfiguration(loadConfiguration([{ path: path.join(directory, "pullpass.yaml"), text }]));
  };
  const passwords = (): readonly unknown[] =>
    last.sources.map(({ credentials }) =>
      typeof credentials === "string" ? credentials : credentials.map(({ password }) => password).join(),
    );
  return { configure, passwords, watched, asked, last };
}

describe("CredentialSources", () => {
  it("has the credentials of every kind of source, in configuration order", () => {
    const { configure, passwords, watched, last } = keep();
    writeFileSync(path.join(directory, "token"), "made-up token\n");
    configure(`
registries:
  - { name: a, address: a.com, auth: { type: BasicAuth, username: u, passwordFrom: { env: TEAM_PASSWORD } } }
  - { name: b, address: b.com, auth: { type: Token, tokenFrom: { file: token } } }
  - { name: c, address: c.com, auth: { type: Secret, name: c } }
  - { name: d, address: d.com }
privateRegistries: ["u:made-up@e.com"]
connections: [{ name: f, kind: registry, schema: { url: f.com }, secret: { name: f } }]
`);
    watched.get("pullpass/c")?.(basicAuthSecret("made-up of c"));
    expect(passwords()).toEqual([
      "made-up of the environment",
      "made-up token",
      "made-up of c",
      "managed-by-admin",
      "made-up",
    ]);
    expect(last.faults).toEqual([]);
    expect(last.sources[2]?.secret).toEqual({ namespace: "pullpass", name: "c" });
  });

  it("follows a Secret as it changes, goes and comes back, and says what is wrong with it", () => {
    const { configure, passwords, watched, last } = keep();
    configure("registries: [{ name: a, address: a.com, auth: { type: Secret, name: s, namespace: n } }]");
    const change = watched.get("n/s");
    change?.(basicAuthSecret("made-up one"));
    expect(passwords()).toEqual(["made-up one"]);
    change?.(basicAuthSecret("made-up two"));
    expect(passwords()).toEqual(["made-up two"]);
    change?.("missing");
    expect(passwords()).toEqual(["unreadable"]);
    expect(last.faults).toEqual([
      {
        registry: "a",
        reason: "SecretNotFound",
        message: "Secret n/s does not exist",
        secret: { namespace: "n", name: "s" },
      },
    ]);
    change?.({ type: "kubernetes.io/tls" });
    expect(last.faults[0]?.message).toContain("Secret n/s: the type of the Secret is none of ");
    change?.(basicAuthSecret("made-up three"));
    expect(passwords()).toEqual(["made-up three"]);
    expect(last.faults).toEqual([]);
  });

  it("names no fault before a Secret was asked for, and one if the answer was no", async () => {
    const { configure, passwords, asked, last } = keep();
    configure("registries: [{ name: a, address: a.com, auth: { type: Secret, name: s } }]");
    expect([passwords(), last.faults]).toEqual([["unreadable"], []]);
    asked.get("pullpass/s")?.();
    await keeper?.settled();
    expect(last.faults.map(({ message }) => message)).toEqual(["Secret pullpass/s cannot be read"]);
  });

  it("watches only what the configuration names", () => {
    const { configure, watched } = keep();
    const secret = (name: string): string =>
      `registries: [{ name: a, address: a.com, auth: { type: Secret, name: ${name} } }]`;
    configure(secret("one"));
    const first = watched.get("pullpass/one");
    configure(secret("one"));
    expect(watched.get("pullpass/one")).toBe(first);
    configure(secret("two"));
    expect([...watched.keys()]).toEqual(["pullpass/two"]);
  });

  it("reads a file again when it changes, and says so when it is gone", async () => {
    const { configure, passwords, last } = keep();
    const file = path.join(directory, "password");
    writeFileSync(file, "made-up one");
    configure(
      "registries: [{ name: a, address: a.com, auth: { type: BasicAuth, username: u, passwordFrom: { file: password } } }]",
    );
    expect(passwords()).toEqual(["made-up one"]);
    writeFileSync(file, "made-up two");
    await vi.waitFor(() => {
      expect(passwords()).toEqual(["made-up two"]);
    });
    rmSync(file);
    await vi.waitFor(() => {
      expect(passwords()).toEqual(["unreadable"]);
    });
    expect(last.faults[0]?.message).toContain("ENOENT");
  });
});

describe("credentials of ClusterRegistries whose CRD lacks fields", () => {
  const objectOf = (name: string, auth: object): ConfiguredRegistry => {
    const read = readRegistryObject({ name, createdAt: "", spec: { address: `${name}.example.com`, auth } });
    if (read.kind !== "registry") throw new Error(JSON.stringify(read));
    return read.registry;
  };
  const basic = objectOf("basic", { type: "BasicAuth", secretRef: { name: "login" } });
  const provider = objectOf("provider", { type: "Provider", provider: "ecr" });
  const ofFile = { ...provider, name: "file", list: "registries" } as const;

  it.each<[what: string, missingFields: readonly string[], readable: readonly string[]]>([
    ["are handed out where it lacks none", [], ["basic", "provider", "file"]],
    ["are not handed out, whatever their source, unlike those of the file", ["spec.namespaces"], ["file"]],
  ])("%s", (_, missingFields, readable) => {
    const onChange = vi.fn<CredentialSourcesOptions["onChange"]>();
    const credentials = [{ address: provider.address, username: "AWS", password: "made-up" }];
    const data = { username: base64("made-up"), password: base64("made-up") };
    const secret = { version: 1, type: "kubernetes.io/basic-auth", data, changedAt: undefined };
    keeper = new CredentialSources({
      ...{ environment: {}, ownNamespace: "pullpass", onChange },
      watchSecret: () => ({ asked: Promise.resolve(), close: () => undefined }),
      offers: { missingFields, offeredSecret: () => secret },
      provided: { stateOf: () => ({ ...NOTHING, credentials }) },
    });
    keeper.setConfiguration({ registries: [basic, provider, ofFile] });
    const [sources = [], faults = []] = onChange.mock.lastCall ?? [];
    const isReadable = ({ credentials }: Source) => typeof credentials !== "string";
    expect(sources.filter(isReadable).map(({ registry }) => registry.name)).toEqual(readable);
    const message = "the CRD in the cluster lacks spec.namespaces";
    expect(faults).toMatchObject(
      missingFields.length === 0 ? [] : ["basic", "provider"].map((registry) => ({ registry, message })),
    );
  });
});

describe("credentials that end", () => {
  const NOW = Date.parse("2026-11-27T00:00:00Z");
  beforeEach(() => {
    vi.useFakeTimers({ now: NOW });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const token = (expiresAt: number) =>
    `made-up.${Buffer.from(JSON.stringify({ exp: expiresAt / 1000 })).toString("base64url")}.signature`;
  const registry = configuredRegistry(
    { name: "aws", address: parseAddress("a.com") },
    {
      source: { kind: "provider", provider: "ecr" },
      list: "registries",
      locate: (path) => ({ file: "pullpass.yaml", line: undefined, path }),
    },
  );
  function follow(first: Partial<ProvidedState>) {
    let state: ProvidedState = { ...NOTHING, ...first };
    const seen: { readonly sources: readonly Source[]; readonly faults: readonly SourceFault[] }[] = [];
    keeper = new CredentialSources({
      ...{ environment: {}, ownNamespace: "pullpass" },
      watchSecret: () => ({ asked: Promise.resolve(), close: () => undefined }),
      provided: { stateOf: () => state },
      onChange: (sources, faults) => void seen.push({ sources, faults }),
    });
    keeper.setConfiguration({ registries: [registry] });
    return {
      seen,
      become: (next: Partial<ProvidedState>): void => {
        state = { ...NOTHING, ...next };
        keeper?.refresh();
      },
    };
  }
  const credentials = (password: string) => [{ address: registry.address, username: "user", password }];

  it.each<[what: string, state: Partial<ProvidedState>, isReadable: boolean, fault: readonly string[]]>([
    ["nothing yet", {}, false, []],
    ["a failure", { fault: "provider ecr failed" }, false, ["ProviderFailed: provider ecr failed"]],
    ["an answer", { credentials: credentials("made-up") }, true, []],
    [
      "an answer, and a failure after it",
      { credentials: credentials("made-up"), fault: "provider ecr failed" },
      true,
      ["ProviderFailed: provider ecr failed"],
    ],
    [
      "an answer that ended",
      { credentials: credentials(token(NOW - 1_000)) },
      true,
      ["Expired: they expired at 2026-11-26T23:59:59Z"],
    ],
    [
      "an answer that ended, and a failure",
      { credentials: credentials(token(NOW - 1_000)), fault: "provider ecr failed" },
      true,
      ["Expired: they expired at 2026-11-26T23:59:59Z; provider ecr failed"],
    ],
  ])("of a provider with %s", (_what, state, isReadable, fault) => {
    const { seen } = follow(state);
    const last = seen.at(-1);
    expect(last?.sources[0]?.credentials !== "unreadable").toBe(isReadable);
    expect(last?.faults.map(({ reason, message }) => `${reason}: ${message}`)).toEqual(fault);
  });

  it("are looked at again when they end, and when a grace period does", () => {
    // Files are looked at every minute; nothing else comes between.
    const { seen, become } = follow({
      credentials: credentials(token(NOW + 3_605_000)),
      graceEndsAt: NOW + 605_000,
    });
    vi.advanceTimersByTime(604_000);
    const before = seen.length;
    vi.advanceTimersByTime(2_000);
    expect(seen).toHaveLength(before + 1);
    become({ credentials: credentials(token(NOW + 3_605_000)) });
    vi.advanceTimersByTime(2_998_000);
    expect(seen.at(-1)?.faults).toEqual([]);
    vi.advanceTimersByTime(2_000);
    expect(seen.at(-1)?.faults).toMatchObject([{ registry: "aws", reason: "Expired" }]);
    // A month is longer than a timer can be.
    become({ credentials: credentials(token(NOW + 30 * 24 * 3_600_000)) });
    expect(seen.at(-1)?.faults).toEqual([]);
    vi.advanceTimersByTime(31 * 24 * 3_600_000);
    expect(seen.at(-1)?.faults).toMatchObject([{ reason: "Expired" }]);
  });
});
