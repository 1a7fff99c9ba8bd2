import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import type { Namespace } from "../../src/core/kubernetes.ts";
import {
  BUILD_SECRET_NAME,
  catalogCopies,
  contentOf,
  planReplication,
  registriesChanged,
  type Copy,
  type CopyCatalog,
  type ExistingCopy,
  type ReplicationAction,
  type Source,
  type WantedCopies,
} from "../../src/core/replication.ts";
import { makeRegistry } from "./make-registry.ts";

function namespace(change: Partial<Namespace> = {}): Namespace {
  return {
    name: "shop",
    labels: {},
    isOptedIn: true,
    isTerminating: false,
    serviceAccounts: [],
    problems: [],
    ...change,
  };
}

const digest = (text: string): string => `digest of ${text}`;
const catalog = (sources: readonly Source[]): CopyCatalog => catalogCopies(sources, digest);

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

function existingFrom(
  { name, content }: Pick<Copy, "name" | "content">,
  change: Partial<ExistingCopy> = {},
): ExistingCopy {
  return { uid: `uid-of-${name}`, version: 1, content, isWrittenByUs: true, isUpdatable: true, ...change };
}

describe("catalogCopies", () => {
  it("wants a copy of each registry, and one of all of them for builds", () => {
    const wanted = catalog([source("a"), source("b")])(namespace());
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
    expect(namesOf(catalog([one])(namespace(change)))).toEqual(names);
  });

  it("names a pull secret once that two registries share", () => {
    const shared = { registry: { secretName: "regcred" } };
    const wanted = catalog([source("a", shared), source("b", { ...shared, credentials: "kept-by-admin" })])(
      namespace(),
    );
    expect(wanted.pullSecretNames).toEqual(["regcred"]);
  });

  it("keeps what is there while credentials cannot be read, the build secret too", () => {
    const wanted = catalog([source("a"), source("b", { credentials: "unreadable" })])(namespace());
    expect(namesOf(wanted)).toEqual(["pullpass-a", BUILD_SECRET_NAME]);
    expect([...wanted.kept]).toEqual(["pullpass-b", BUILD_SECRET_NAME]);
  });

  it("wants no build secret where builders would find nothing in it", () => {
    const wildcard = source("a", { registry: { address: parseAddress("*.example.com") } });
    expect(namesOf(catalog([wildcard])(namespace()))).toEqual(["pullpass-a"]);
  });

  it("writes the documents once for all namespaces that may have the same", () => {
    const wantedIn = catalog([source("a")]);
    expect(wantedIn(namespace({ name: "one" }))).toBe(
      wantedIn(namespace({ name: "two", labels: { x: "y" } })),
    );
  });

  it("writes documents in base64, and tells contents apart by documents and registries", () => {
    const [copy] = catalog([source("a")])(namespace()).copies;
    const document = Buffer.from(copy?.data ?? "", "base64").toString("utf8");
    expect(Object.keys((JSON.parse(document) as { auths: object }).auths)).toEqual(["a.example.com"]);
    expect(copy?.content).toBe(contentOf(copy?.data ?? "", "a", digest));
    const contents = [
      contentOf("e30=", "a", digest),
      contentOf("e30=", "b", digest),
      contentOf("", "a", digest),
    ];
    expect(new Set(contents).size).toBe(3);
  });

  it.each<[string, Partial<Namespace>, readonly string[]]>([
    ["in its namespace", { name: "shop" }, ["original", "another"]],
    ["where nothing is opted in, too", { name: "shop", isOptedIn: false }, ["original", "another"]],
    ["in no other namespace", { name: "elsewhere" }, []],
  ])("knows the sources %s", (_, change, names) => {
    const wanted = catalog([
      source("a", { secret: { namespace: "shop", name: "original" } }),
      source("b", { secret: { namespace: "shop", name: "another" }, credentials: "unreadable" }),
      source("c"),
    ])(namespace(change));
    expect([...wanted.sources]).toEqual(names);
  });
});

describe("registriesChanged", () => {
  it("names what was added, what was removed, and what has other credentials", () => {
    const before = [source("same"), source("rotated"), source("lost"), source("removed")];
    const [rotated] = [source("rotated")].map((one) => ({ ...one, credentials: [] }));
    const after = [
      source("same"),
      rotated ?? source(""),
      source("lost", { credentials: "unreadable" }),
      source("added"),
    ];
    expect(registriesChanged(before, after)).toEqual(["rotated", "lost", "removed", "added"]);
    expect(registriesChanged(after, after)).toEqual([]);
  });
});

describe("planReplication", () => {
  const copy: Copy = { name: "pullpass-a", data: "e30=", registries: ["a"], content: "as wanted" };
  const wants = (
    copies: readonly Copy[],
    kept: readonly string[] = [],
    sources: readonly string[] = [],
  ): WantedCopies => ({ copies, kept: new Set(kept), sources: new Set(sources), pullSecretNames: [] });
  const { name } = copy;
  const uid = "uid-of-pullpass-a";
  const other = { content: "another" };
  const frozen = { content: undefined, isUpdatable: false };
  const nameTaken: ReplicationAction = { kind: "leave", name, reason: "SourceHasNameOfCopy" };
  const labelled: ReplicationAction = { kind: "leave", name, reason: "SourceHasOurLabel" };

  // In the order of the table at planReplication.
  it.each<[string, WantedCopies, ExistingCopy | undefined, readonly ReplicationAction[]]>([
    ["a source with the name of a copy", wants([copy], [], [name]), undefined, [nameTaken]],
    ["the same with our label", wants([copy], [], [name]), existingFrom(copy, other), [nameTaken]],
    ["the same while it is kept", wants([copy], [name], [name]), existingFrom(copy), [nameTaken]],
    ["a source with our label", wants([], [], [name]), existingFrom(copy), [labelled]],
    ["a source with our label, kept", wants([], [name], [name]), existingFrom(copy), [labelled]],
    ["a source as it should be", wants([], [], [name]), undefined, []],
    ["wanted, none there", wants([copy]), undefined, [{ kind: "create", copy }]],
    ["wanted and kept, none there", wants([copy], [name]), undefined, [{ kind: "create", copy }]],
    ["as wanted", wants([copy]), existingFrom(copy), []],
    ["immutable, as wanted", wants([copy]), existingFrom(copy, { isUpdatable: false }), []],
    ["other content", wants([copy]), existingFrom(copy, other), [{ kind: "update", copy, uid }]],
    [
      "no content, or marks lost",
      wants([copy]),
      existingFrom(copy, { content: undefined }),
      [{ kind: "update", copy, uid }],
    ],
    [
      "immutable or of another type, not as wanted",
      wants([copy]),
      existingFrom(copy, frozen),
      [{ kind: "replace", copy, uid }],
    ],
    ["wanted and kept, other content", wants([copy], [name]), existingFrom(copy, other), []],
    ["kept", wants([], [name]), existingFrom(copy), []],
    ["not wanted", wants([]), existingFrom(copy), [{ kind: "remove", name, uid }]],
    ["not wanted, and not by us", wants([]), existingFrom(copy, { isWrittenByUs: false }), []],
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
          fc.record({ content: fc.constantFrom("another", undefined), isUpdatable: fc.boolean() }),
        ),
        fc.subarray(["pullpass-a", "pullpass-b", "pullpass-e", "elsewhere"]),
        (configured, before, sourceNames) => {
          const sources = Object.entries(configured).map(([name, { credentials, use }], index) => {
            const secretName = sourceNames[index];
            const secret = secretName === undefined ? undefined : { namespace: "shop", name: secretName };
            return source(name, {
              registry: { use },
              secret,
              ...(credentials === "given" ? {} : { credentials }),
            });
          });
          const wanted = catalog(sources)(namespace());
          const existing = new Map(
            Object.entries(before).map(([name, change]) => [
              name,
              existingFrom({ name, content: "" }, change),
            ]),
          );
          const untouched = new Map([...existing].filter(([name]) => wanted.sources.has(name)));
          for (const action of planReplication(namespace(), wanted, existing)) {
            if (action.kind === "remove") existing.delete(action.name);
            else if (action.kind !== "leave") existing.set(action.copy.name, existingFrom(action.copy));
          }
          const again = planReplication(namespace(), wanted, existing);
          expect(again.filter(({ kind }) => kind !== "leave")).toEqual([]);
          for (const { name } of wanted.copies)
            expect(existing.has(name) || wanted.sources.has(name)).toBe(true);
          expect(new Map([...existing].filter(([name]) => wanted.sources.has(name)))).toEqual(untouched);
        },
      ),
    );
  });
});
