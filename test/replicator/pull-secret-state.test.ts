import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import { pullSecretState } from "../../src/replicator/pull-secret-state.ts";
import type { DesiredCopies, ExistingCopy, Source } from "../../src/core/replication.ts";
import { makeRegistry } from "../core/make-registry.ts";

const address = parseAddress("registry.example.com");
const source = (name: string, credentials: Source["credentials"]): Source => ({
  registry: { ...makeRegistry(name, "registry.example.com"), hosts: [] },
  credentials,
  secret: undefined,
});
const SOURCES = [
  source("other", [{ address: parseAddress("other.example.com"), username: "u", password: "made-up" }]),
  source("team", [{ address, username: "u", password: "made-up" }]),
  source("admin", "managed-by-admin"),
];
const EXISTING: ExistingCopy = {
  ...{ uid: "u", version: 1, content: "as desired", isWrittenByUs: true, isUpdatable: true },
};
const DESIRED: DesiredCopies = {
  copies: [
    {
      name: "regcred",
      data: "e30=",
      registries: ["team", "admin"],
      content: "as desired",
      alternative: "as good",
    },
  ],
  registries: new Map(),
  retained: new Set(["retained"]),
  unlisted: new Set(),
  sources: new Set(["source"]),
  pullSecretNames: [],
};

// In the order of the table in pull-secret-state.ts.
describe("what the replicator knows of a Secret", () => {
  const existing = (name: string, content: string | undefined) => new Map([[name, { ...EXISTING, content }]]);
  it.each([
    ["that is not ours", "regcred", new Map(), new Set(["regcred"]), "not-owned"],
    ["that is a source", "source", new Map(), new Set<string>(), "unknown"],
    ["that is a copy as desired", "regcred", existing("regcred", "as desired"), new Set<string>(), "read"],
    ["that is a copy as good", "regcred", existing("regcred", "as good"), new Set<string>(), "read"],
    [
      "that is a copy with another content",
      "regcred",
      existing("regcred", "old"),
      new Set<string>(),
      "unknown",
    ],
    ["that is retained", "retained", existing("retained", "old"), new Set<string>(), "unknown"],
    ["that should be there", "regcred", new Map(), new Set<string>(), "missing"],
    ["that would be retained", "retained", new Map(), new Set<string>(), "missing"],
    ["that is none of ours", "own", new Map(), new Set<string>(), "unknown"],
  ] as const)("%s: %s", (_title, name, copies, refused, kind) => {
    const state = pullSecretState(name, SOURCES, { desired: DESIRED, existing: copies, refused });
    expect(state.kind).toBe(kind);
    if (state.kind === "read") expect(state.credentials).toEqual([{ address, expiresAt: undefined }]);
  });
});
