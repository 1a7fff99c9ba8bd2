import { expect, it } from "vitest";
import type { Namespace } from "../../src/core/kubernetes.ts";
import type { CopyCounts } from "../../src/core/registry-status.ts";
import type { Copy, DesiredCopies, ExistingCopy } from "../../src/core/replication.ts";
import { createCopyTally, type NamespaceCopies } from "../../src/replicator/count-copies.ts";

const namespace = (more: Partial<Namespace> = {}): Namespace => ({
  ...{ name: "app", labels: {}, isOptedIn: true, isTerminating: false, serviceAccounts: [], problems: [] },
  ...more,
});
const copy = (name: string, ...registries: readonly string[]): Copy => ({
  ...{ name, data: "e30=", registries, content: "as desired" },
});
const existing = (content: string | undefined): ExistingCopy => ({
  ...{ uid: "u", version: 1, content, isWrittenByUs: true, isUpdatable: true },
});
const AS_DESIRED = existing("as desired");

/** Registries a and b, with a copy of a and a build secret of both. */
const DESIRED: DesiredCopies = {
  copies: [copy("pullpass-a", "a"), copy("pullpass.build", "a", "b")],
  registries: new Map([
    ["a", "pullpass-a"],
    ["b", "pullpass-b"],
  ]),
  retained: new Set(),
  unlisted: new Set(),
  sources: new Set(),
  pullSecretNames: [],
};
const IN_PLACE = new Map([
  ["pullpass-a", AS_DESIRED],
  ["pullpass.build", AS_DESIRED],
]);

function count(copies: Partial<NamespaceCopies>, of = namespace()): Readonly<Record<string, CopyCounts>> {
  const tally = createCopyTally();
  tally.add(of, { desired: DESIRED, existing: IN_PLACE, refused: new Set(), isFailing: false, ...copies });
  return Object.fromEntries(tally.counts);
}
const counts = (more: Partial<CopyCounts>): CopyCounts => ({
  ...{ selected: 1, synced: 0, refused: 0, failing: 0 },
  ...more,
});

it.each<[string, Partial<NamespaceCopies>, a: Partial<CopyCounts>, b: Partial<CopyCounts>]>([
  ["all in place", {}, { synced: 1 }, { synced: 1 }],
  ["one missing", { existing: new Map([["pullpass.build", AS_DESIRED]]) }, {}, { synced: 1 }],
  [
    "the build secret outdated",
    { existing: new Map([...IN_PLACE, ["pullpass.build", existing("old")]]) },
    {},
    {},
  ],
  [
    "one refused",
    { existing: new Map([["pullpass.build", AS_DESIRED]]), refused: new Set(["pullpass-a"]) },
    { refused: 1 },
    { synced: 1 },
  ],
  [
    "one that a source has the name of",
    { desired: { ...DESIRED, sources: new Set(["pullpass-a"]) } },
    { refused: 1 },
    { synced: 1 },
  ],
  ["writes that fail", { existing: new Map(), isFailing: true }, { failing: 1 }, { failing: 1 }],
  ["a failure elsewhere", { isFailing: true }, { synced: 1 }, { synced: 1 }],
  [
    "one retained, and outdated",
    {
      desired: { ...DESIRED, retained: new Set(["pullpass-a"]) },
      existing: new Map([...IN_PLACE, ["pullpass-a", existing("old")]]),
    },
    { synced: 1 },
    { synced: 1 },
  ],
  [
    "one retained that never was",
    { desired: { ...DESIRED, retained: new Set(["pullpass-b"]) } },
    { synced: 1 },
    {},
  ],
])("with %s", (_, copies, a, b) => {
  expect(count(copies)).toEqual({ a: counts(a), b: counts(b) });
});

it.each([{ isOptedIn: false }, { isTerminating: true }])("leaves out a namespace with %o", (more) => {
  expect(count({}, namespace(more))).toEqual({});
});

it("adds namespaces up", () => {
  const tally = createCopyTally();
  for (const found of [IN_PLACE, new Map<string, ExistingCopy>(), IN_PLACE]) {
    tally.add(namespace(), { desired: DESIRED, existing: found, refused: new Set(), isFailing: false });
  }
  expect(tally.counts.get("a")).toEqual({ selected: 3, synced: 2, refused: 0, failing: 0 });
});
