import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import type { Namespace } from "../../src/core/kubernetes.ts";
import {
  BUILD_SECRET_NAME,
  catalogCopies,
  planReplication,
  type Copy,
  type ExistingCopy,
  type ReplicationAction,
  type Source,
  type WantedCopies,
} from "../../src/core/replication.ts";
import { makeRegistry } from "./make-registry.ts";

function namespace(change: Partial<Namespace> = {}): Namespace {
  return { name: "shop", labels: {}, isOptedIn: true, isTerminating: false, serviceAccounts: [], ...change };
}

function source(
  name: string,
  change: Partial<Omit<Source, "registry">> & { readonly registry?: Partial<Source["registry"]> } = {},
): Source {
  const registry = {
    ...makeRegistry(name, `${name}.example.com`, { secretName: `pullpass-${name}` }),
    hosts: [],
    ...change.registry,
  };
  const credentials = [{ address: registry.address, username: "made-up", password: `of-${name}` }];
  return { credentials, secret: undefined, ...change, registry };
}

function namesOf(wanted: WantedCopies): readonly string[] {
  return wanted.copies.map((copy) => copy.name);
}

function existingFrom(copy: Copy, change: Partial<ExistingCopy> = {}): ExistingCopy {
  return {
    uid: `uid-of-${copy.name}`,
    version: 1,
    document: copy.document,
    registries: copy.registries.join(","),
    isMarked: true,
    isUpdatable: true,
    ...change,
  };
}

describe("catalogCopies", () => {
  it("wants a copy of each registry, and one of all of them for builds", () => {
    const wanted = catalogCopies([source("a"), source("b")])(namespace());
    expect(namesOf(wanted)).toEqual(["pullpass-a", "pullpass-b", BUILD_SECRET_NAME]);
    expect(wanted.copies.map((copy) => copy.registries)).toEqual([["a"], ["b"], ["a", "b"]]);
    expect(wanted.pullSecretNames).toEqual(["pullpass-a", "pullpass-b"]);
  });

  it.each<[string, Source, Partial<Namespace>, readonly string[]]>([
    ["a namespace that is not opted in", source("a"), { isOptedIn: false }, []],
    ["credentials for pulls alone", source("a", { registry: { use: ["pull"] } }), {}, ["pullpass-a"]],
    ["credentials for builds alone", source("a", { registry: { use: ["build"] } }), {}, [BUILD_SECRET_NAME]],
    ["a pull secret that an admin keeps", source("a", { credentials: "kept-by-admin" }), {}, []],
    ["credentials that cannot be read", source("a", { credentials: "unreadable" }), {}, []],
    [
      "a namespace without the labels that the registry asks for",
      source("a", { registry: { namespaces: { matchLabels: { team: "a" } } } }),
      { labels: { team: "b" } },
      [],
    ],
    [
      "a namespace with those labels",
      source("a", { registry: { namespaces: { matchLabels: { team: "a" } } } }),
      { labels: { team: "a" } },
      ["pullpass-a", BUILD_SECRET_NAME],
    ],
    [
      "the namespace of the source, where the source has the name of the copy",
      source("a", { secret: { namespace: "shop", name: "pullpass-a" } }),
      {},
      [BUILD_SECRET_NAME],
    ],
    [
      "the namespace of the source, under another name",
      source("a", { secret: { namespace: "shop", name: "original" } }),
      {},
      ["pullpass-a", BUILD_SECRET_NAME],
    ],
  ])("knows what to do about %s", (_, one, change, names) => {
    expect(namesOf(catalogCopies([one])(namespace(change)))).toEqual(names);
  });

  it("names a pull secret once that two registries share", () => {
    const shared = { registry: { secretName: "regcred" } };
    const wanted = catalogCopies([
      source("a", shared),
      source("b", { ...shared, credentials: "kept-by-admin" }),
    ])(namespace());
    expect(wanted.pullSecretNames).toEqual(["regcred"]);
  });

  it("keeps what is there while credentials cannot be read, the build secret too", () => {
    const wanted = catalogCopies([source("a"), source("b", { credentials: "unreadable" })])(namespace());
    expect(namesOf(wanted)).toEqual(["pullpass-a", BUILD_SECRET_NAME]);
    expect([...wanted.kept]).toEqual(["pullpass-b", BUILD_SECRET_NAME]);
  });

  it("wants no build secret where builders would find nothing in it", () => {
    const wildcard = source("a", { registry: { address: parseAddress("*.example.com") } });
    expect(namesOf(catalogCopies([wildcard])(namespace()))).toEqual(["pullpass-a"]);
  });

  it("writes the documents once for all namespaces that may have the same", () => {
    const catalog = catalogCopies([source("a")]);
    expect(catalog(namespace({ name: "one" }))).toBe(catalog(namespace({ name: "two", labels: { x: "y" } })));
  });
});

describe("planReplication", () => {
  const copy: Copy = { name: "pullpass-a", document: "{}", registries: ["a"] };
  const wants = (copies: readonly Copy[], kept: readonly string[] = []): WantedCopies => ({
    copies,
    kept: new Set(kept),
    pullSecretNames: [],
  });
  const uid = "uid-of-pullpass-a";

  it.each<[string, WantedCopies, ExistingCopy | undefined, readonly ReplicationAction[]]>([
    ["wanted, none there", wants([copy]), undefined, [{ kind: "create", copy }]],
    ["wanted and kept, none there", wants([copy], [copy.name]), undefined, [{ kind: "create", copy }]],
    ["as wanted", wants([copy]), existingFrom(copy), []],
    [
      "other content",
      wants([copy]),
      existingFrom(copy, { document: "{ }" }),
      [{ kind: "update", copy, uid }],
    ],
    [
      "no content",
      wants([copy]),
      existingFrom(copy, { document: undefined }),
      [{ kind: "update", copy, uid }],
    ],
    [
      "other registries",
      wants([copy]),
      existingFrom(copy, { registries: "b" }),
      [{ kind: "update", copy, uid }],
    ],
    ["marks lost", wants([copy]), existingFrom(copy, { isMarked: false }), [{ kind: "update", copy, uid }]],
    ["immutable, as wanted", wants([copy]), existingFrom(copy, { isUpdatable: false }), []],
    [
      "immutable or of another type, not as wanted",
      wants([copy]),
      existingFrom(copy, { isUpdatable: false, document: undefined }),
      [{ kind: "replace", copy, uid }],
    ],
    ["wanted and kept, other content", wants([copy], [copy.name]), existingFrom(copy, { document: "" }), []],
    ["kept", wants([], [copy.name]), existingFrom(copy), []],
    ["not wanted", wants([]), existingFrom(copy), [{ kind: "remove", name: copy.name, uid }]],
    ["not wanted, none there", wants([]), undefined, []],
  ])("%s", (_, wanted, existing, actions) => {
    const known = new Map(existing === undefined ? [] : [[copy.name, existing]]);
    expect(planReplication(namespace(), wanted, known)).toEqual(actions);
    expect(planReplication(namespace({ isTerminating: true }), wanted, known)).toEqual([]);
  });

  it("plans nothing once a plan is carried out", () => {
    const names = fc.constantFrom("a", "b", "c", "d");
    const state = fc.record({
      credentials: fc.constantFrom("given", "unreadable", "kept-by-admin"),
      use: fc.constantFrom<Source["registry"]["use"]>(["pull"], ["build"], ["pull", "build"]),
    });
    fc.assert(
      fc.property(
        fc.dictionary(names, state),
        fc.dictionary(
          fc.constantFrom("pullpass-a", "pullpass-b", "pullpass-e", BUILD_SECRET_NAME),
          fc.record({
            document: fc.constantFrom("{}", undefined),
            isUpdatable: fc.boolean(),
            isMarked: fc.boolean(),
          }),
        ),
        (configured, before) => {
          const sources = Object.entries(configured).map(([name, { credentials, use }]) =>
            source(name, { registry: { use }, ...(credentials === "given" ? {} : { credentials }) }),
          );
          const wanted = catalogCopies(sources)(namespace());
          const existing = new Map(
            Object.entries(before).map(([name, change]) => [
              name,
              existingFrom({ name, document: "", registries: [] }, change),
            ]),
          );
          for (const action of planReplication(namespace(), wanted, existing)) {
            if (action.kind === "remove") existing.delete(action.name);
            else existing.set(action.copy.name, existingFrom(action.copy));
          }
          expect(planReplication(namespace(), wanted, existing)).toEqual([]);
          for (const { name } of wanted.copies) expect(existing.has(name)).toBe(true);
        },
      ),
    );
  });
});
