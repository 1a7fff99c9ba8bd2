import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import type { Namespace } from "../../src/core/kubernetes.ts";
import {
  BUILD_SECRET_NAME,
  contentOf,
  planReplication,
  prepareCopies,
  registriesChanged,
  type Copy,
  type DesiredCopies,
  type DesiredCopiesFor,
  type ExistingCopy,
  type ReplicationAction,
  type Source,
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
const prepare = (sources: readonly Source[]): DesiredCopiesFor => prepareCopies(sources, digest);

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

function namesOf(desired: DesiredCopies): readonly string[] {
  return desired.copies.map((copy) => copy.name);
}

function existingFrom(
  { name, content }: Pick<Copy, "name" | "content">,
  change: Partial<ExistingCopy> = {},
): ExistingCopy {
  return { uid: `uid-of-${name}`, version: 1, content, isWrittenByUs: true, isUpdatable: true, ...change };
}

describe("prepareCopies", () => {
  it("desires a copy of each registry, and one that merges all of them for builds", () => {
    const desired = prepare([source("a"), source("b")])(namespace());
    expect(namesOf(desired)).toEqual(["pullpass-a", "pullpass-b", BUILD_SECRET_NAME]);
    expect(desired.copies.map((copy) => copy.registries)).toEqual([["a"], ["b"], ["a", "b"]]);
    expect(desired.pullSecretNames).toEqual(["pullpass-a", "pullpass-b"]);
  });

  it.each<[string, Source, Partial<Namespace>, readonly string[]]>([
    ["a namespace that is not opted in", source("a"), { isOptedIn: false }, []],
    ["credentials for pulls alone", source("a", { registry: { use: ["pull"] } }), {}, ["pullpass-a"]],
    ["credentials for builds alone", source("a", { registry: { use: ["build"] } }), {}, [BUILD_SECRET_NAME]],
    ["a pull secret that an admin manages", source("a", { credentials: "managed-by-admin" }), {}, []],
    ["credentials that cannot be read", source("a", { credentials: "unreadable" }), {}, []],
    [
      "a namespace without the labels that the registry requires",
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
      "the namespace of the source, if the source has the name of the copy",
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
    expect(namesOf(prepare([one])(namespace(change)))).toEqual(names);
  });

  it("names a pull secret once that two registries share", () => {
    const shared = { registry: { secretName: "regcred" } };
    const desired = prepare([
      source("a", shared),
      source("b", { ...shared, credentials: "managed-by-admin" }),
    ])(namespace());
    expect(desired.pullSecretNames).toEqual(["regcred"]);
  });

  it("retains existing copies while credentials cannot be read, including the build secret", () => {
    const desired = prepare([source("a"), source("b", { credentials: "unreadable" })])(namespace());
    expect(namesOf(desired)).toEqual(["pullpass-a", BUILD_SECRET_NAME]);
    expect([...desired.retained]).toEqual(["pullpass-b", BUILD_SECRET_NAME]);
  });

  it("desires no build secret if builders would find nothing in it", () => {
    const wildcard = source("a", { registry: { address: parseAddress("*.example.com") } });
    expect(namesOf(prepare([wildcard])(namespace()))).toEqual(["pullpass-a"]);
  });

  it("writes the documents once for all namespaces that may have the same registries", () => {
    const desiredCopiesFor = prepare([source("a")]);
    expect(desiredCopiesFor(namespace({ name: "one" }))).toBe(
      desiredCopiesFor(namespace({ name: "two", labels: { x: "y" } })),
    );
  });

  it("writes documents in base64, and distinguishes contents by document and registries", () => {
    const [copy] = prepare([source("a")])(namespace()).copies;
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
    [
      "in its namespace, even if it is not opted in",
      { name: "shop", isOptedIn: false },
      ["original", "another"],
    ],
    ["in no other namespace", { name: "elsewhere" }, []],
  ])("knows the sources %s", (_, change, names) => {
    const desired = prepare([
      source("a", { secret: { namespace: "shop", name: "original" } }),
      source("b", { secret: { namespace: "shop", name: "another" }, credentials: "unreadable" }),
      source("c"),
    ])(namespace(change));
    expect([...desired.sources]).toEqual(names);
  });
});

describe("registriesChanged", () => {
  it("names registries that were added or removed, and those with changed credentials", () => {
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
  const copy: Copy = { name: "pullpass-a", data: "e30=", registries: ["a"], content: "as desired" };
  const desire = (
    copies: readonly Copy[],
    retained: readonly string[] = [],
    sources: readonly string[] = [],
  ): DesiredCopies => ({
    copies,
    retained: new Set(retained),
    unlisted: new Set(),
    sources: new Set(sources),
    registries: new Map(),
    pullSecretNames: [],
  });
  const { name } = copy;
  const uid = "uid-of-pullpass-a";
  const other = { content: "another" };
  const frozen = { content: undefined, isUpdatable: false };
  const nameTaken: ReplicationAction = { kind: "leave", name, reason: "SourceHasNameOfCopy" };
  const labelled: ReplicationAction = { kind: "leave", name, reason: "SourceHasOurLabel" };

  // In the order of the table at planReplication.
  it.each<[string, DesiredCopies, ExistingCopy | undefined, readonly ReplicationAction[]]>([
    ["a source with the name of a copy", desire([copy], [], [name]), undefined, [nameTaken]],
    ["the same with our label", desire([copy], [], [name]), existingFrom(copy, other), [nameTaken]],
    ["the same while it is retained", desire([copy], [name], [name]), existingFrom(copy), [nameTaken]],
    ["a source with our label", desire([], [], [name]), existingFrom(copy), [labelled]],
    ["a source with our label, retained", desire([], [name], [name]), existingFrom(copy), [labelled]],
    ["a source as it should be", desire([], [], [name]), undefined, []],
    ["desired, does not exist", desire([copy]), undefined, [{ kind: "create", copy }]],
    ["desired and retained, does not exist", desire([copy], [name]), undefined, [{ kind: "create", copy }]],
    ["as desired", desire([copy]), existingFrom(copy), []],
    ["immutable, as desired", desire([copy]), existingFrom(copy, { isUpdatable: false }), []],
    ["other content", desire([copy]), existingFrom(copy, other), [{ kind: "update", copy, uid }]],
    [
      "no content, or changed labels or annotations",
      desire([copy]),
      existingFrom(copy, { content: undefined }),
      [{ kind: "update", copy, uid }],
    ],
    [
      "immutable or of another type, not as desired",
      desire([copy]),
      existingFrom(copy, frozen),
      [{ kind: "replace", copy, uid }],
    ],
    ["desired and retained, other content", desire([copy], [name]), existingFrom(copy, other), []],
    ["retained", desire([], [name]), existingFrom(copy), []],
    ["not desired", desire([]), existingFrom(copy), [{ kind: "remove", name, uid }]],
    ["not desired, and not by us", desire([]), existingFrom(copy, { isWrittenByUs: false }), []],
    ["not desired, does not exist", desire([]), undefined, []],
  ])("%s", (_, desired, existing, actions) => {
    const known = new Map(existing === undefined ? [] : [[copy.name, existing]]);
    expect(planReplication(namespace(), desired, known)).toEqual(actions);
    expect(planReplication(namespace({ isTerminating: true }), desired, known)).toEqual([]);
  });

  it("plans nothing after a plan is executed", () => {
    const names = fc.constantFrom("a", "b", "c", "d");
    const state = fc.record({
      credentials: fc.constantFrom("given", "unreadable", "managed-by-admin"),
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
          const desired = prepare(sources)(namespace());
          const existing = new Map(
            Object.entries(before).map(([name, change]) => [
              name,
              existingFrom({ name, content: "" }, change),
            ]),
          );
          const untouched = new Map([...existing].filter(([name]) => desired.sources.has(name)));
          for (const action of planReplication(namespace(), desired, existing)) {
            if (action.kind === "remove") existing.delete(action.name);
            else if (action.kind !== "leave") existing.set(action.copy.name, existingFrom(action.copy));
          }
          const again = planReplication(namespace(), desired, existing);
          expect(again.filter(({ kind }) => kind !== "leave")).toEqual([]);
          for (const { name } of desired.copies)
            expect(existing.has(name) || desired.sources.has(name)).toBe(true);
          expect(new Map([...existing].filter(([name]) => desired.sources.has(name)))).toEqual(untouched);
        },
      ),
    );
  });
});

describe("a credential that replaced another one", () => {
  const replaced = (isInGrace: boolean): Source => {
    const address = parseAddress("a.example.com");
    const previous = { username: "made-up", password: "of-before", isInGrace };
    return source("a", { credentials: [{ address, username: "made-up", password: "of-now", previous }] });
  };
  const documentsOf = (one: Source) =>
    prepare([one])(namespace()).copies.map(({ data }) => Buffer.from(data, "base64").toString("utf8"));
  const PREVIOUS = Buffer.from("made-up:of-before").toString("base64");

  it("has it beside itself in the pull secret, for the grace period, and never in the build secret", () => {
    expect(documentsOf(replaced(true)).map((document) => document.includes(PREVIOUS))).toEqual([true, false]);
    expect(documentsOf(replaced(false)).map((document) => document.includes(PREVIOUS))).toEqual([
      false,
      false,
    ]);
  });

  it("costs a copy one write: what has the previous one keeps it after the grace period", () => {
    const plan = (one: Source, existing: readonly Copy[]) =>
      planReplication(
        namespace(),
        prepare([one])(namespace()),
        new Map(existing.map((copy) => [copy.name, existingFrom(copy)])),
      ).map(({ kind }) => kind);
    const [inGrace, afterwards] = [true, false].map((each) => prepare([replaced(each)])(namespace()).copies);
    expect(plan(replaced(false), inGrace ?? [])).toEqual([]);
    expect(plan(replaced(false), afterwards ?? [])).toEqual([]);
    expect(plan(replaced(true), afterwards ?? [])).toEqual(["update"]);
    expect(plan(source("a"), inGrace ?? [])).toEqual(["update", "update"]);
    expect(plan(replaced(false), [])).toEqual(["create", "create"]);
  });

  it("is a change, and the end of the grace period is none", () => {
    expect(registriesChanged([source("a")], [replaced(true)])).toEqual(["a"]);
    expect(registriesChanged([replaced(true)], [replaced(false)])).toEqual([]);
  });
});
