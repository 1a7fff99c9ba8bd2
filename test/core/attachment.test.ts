import fc from "fast-check";
import jsonpatch, { type Operation } from "fast-json-patch";
import { describe, expect, it } from "vitest";
import { planAttachment, type ServiceAccount } from "../../src/core/attachment.ts";

const ATTACHED = "pullpass.dev/attached";
const RECORD = "/metadata/annotations/pullpass.dev~1attached";
const TEST = { op: "test", path: "/metadata/resourceVersion", value: "7" };

interface AccountObject {
  metadata: { resourceVersion: string; annotations?: Record<string, string> };
  imagePullSecrets?: unknown[];
}

function accountOf({ metadata, imagePullSecrets }: AccountObject): ServiceAccount {
  return {
    resourceVersion: metadata.resourceVersion,
    imagePullSecrets,
    annotations: metadata.annotations,
  };
}

function account(list?: readonly unknown[], annotations?: Readonly<Record<string, string>>): AccountObject {
  return {
    metadata: {
      resourceVersion: "7",
      ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
    },
    ...(list === undefined ? {} : { imagePullSecrets: [...list] }),
  };
}

/** As the API server does: the whole patch or nothing. */
function apply(object: AccountObject, operations: readonly Operation[]): AccountObject {
  return jsonpatch.applyPatch(structuredClone(object), structuredClone(operations), true).newDocument;
}

function attach(object: AccountObject, ...desired: readonly string[]): AccountObject {
  return apply(object, planAttachment(accountOf(object), desired));
}

const named = (...names: readonly string[]): readonly unknown[] => names.map((name) => ({ name }));

describe("planAttachment", () => {
  it("README example", () => {
    expect(planAttachment(accountOf(account()), ["pullpass-team-a"])).toEqual([
      TEST,
      { op: "add", path: "/imagePullSecrets", value: [{ name: "pullpass-team-a" }] },
      { op: "add", path: "/metadata/annotations", value: { [ATTACHED]: "pullpass-team-a" } },
    ]);
  });

  it("takes time proportional to both lists, not to their product", () => {
    /** The shortest of several tries, in ms. */
    const timeOf = (count: number): number => {
      const names = Array.from({ length: count }, (_, index) => `a-${index.toString(36)}`);
      const object = accountOf(account(named(...names.toReversed()), { [ATTACHED]: names.join(",") }));
      const times = Array.from({ length: 5 }, () => {
        const startedAt = performance.now();
        // The test, and the removal of the list and of the record.
        expect(planAttachment(object, [])).toHaveLength(3);
        return performance.now() - startedAt;
      });
      return Math.min(...times);
    };
    timeOf(1_000);
    // A product would take 64 times as long for 8 times as much.
    expect(timeOf(32_000) / timeOf(4_000)).toBeLessThan(30);
  });

  it.each([
    [false, false, false, "other", "z"],
    [false, false, true, "other x", "z,x"],
    [false, true, false, "other", "z"],
    [false, true, true, "other x", "x,z"],
    [true, false, false, "x other", "z"],
    [true, false, true, "x other", "z"],
    [true, true, false, "other", "z"],
    [true, true, true, "x other", "x,z"],
  ])("in the list: %s, recorded: %s, desired: %s", (isPresent, isRecorded, isDesired, list, record) => {
    const before = account(named(...(isPresent ? ["x", "other"] : ["other"]), "z"), {
      [ATTACHED]: isRecorded ? "x,z" : "z",
      theirs: "stays",
    });
    const after = attach(before, ...(isDesired ? ["z", "x"] : ["z"]));
    const names = list.split(" ");
    // Ours are appended, after the one that is desired in every row.
    const expected = names.includes("x") && !isPresent ? ["other", "z", "x"] : [...names, "z"];
    expect(after.imagePullSecrets).toEqual(named(...expected));
    expect(after.metadata.annotations).toEqual({ [ATTACHED]: record, theirs: "stays" });
  });

  it.each([
    ["no list, nothing desired", account(), [], []],
    ["an empty list, nothing desired", account([]), [], []],
    [
      "an empty list",
      account([], {}),
      ["x"],
      [
        { op: "add", path: "/imagePullSecrets/-", value: { name: "x" } },
        { op: "add", path: RECORD, value: "x" },
      ],
    ],
    [
      "a name desired twice",
      account([]),
      ["x", "x"],
      [
        { op: "add", path: "/imagePullSecrets/-", value: { name: "x" } },
        { op: "add", path: "/metadata/annotations", value: { [ATTACHED]: "x" } },
      ],
    ],
    [
      "only ours in the list",
      account(named("x"), { [ATTACHED]: "x" }),
      [],
      [
        { op: "remove", path: "/imagePullSecrets" },
        { op: "remove", path: RECORD },
      ],
    ],
    [
      "ours to be replaced by another",
      account(named("x"), { [ATTACHED]: "x" }),
      ["y"],
      [
        { op: "remove", path: "/imagePullSecrets/0" },
        { op: "add", path: "/imagePullSecrets/-", value: { name: "y" } },
        { op: "add", path: RECORD, value: "y" },
      ],
    ],
    [
      "several of ours among others",
      account([...named("x", "a", "y"), {}, null, "y", { name: 1 }, ...named("a")], { [ATTACHED]: "y,x" }),
      [],
      [
        { op: "remove", path: "/imagePullSecrets/2" },
        { op: "remove", path: "/imagePullSecrets/0" },
        { op: "remove", path: RECORD },
      ],
    ],
    [
      "one of ours twice, so one was added by somebody else",
      account(named("x", "x"), { [ATTACHED]: "x" }),
      [],
      [
        { op: "remove", path: "/imagePullSecrets/0" },
        { op: "remove", path: RECORD },
      ],
    ],
    ["an empty record", account(named("a"), { [ATTACHED]: "" }), [], [{ op: "remove", path: RECORD }]],
    ["a record that a person edited", account(named("x", "y"), { [ATTACHED]: " x, y,,x " }), ["y", "x"], []],
    [
      "ours removed by hand together with the list",
      account(undefined, { [ATTACHED]: "x" }),
      ["x"],
      [{ op: "add", path: "/imagePullSecrets", value: [{ name: "x" }] }],
    ],
  ])("plans for %s", (_title, object, desired, operations) => {
    const plan = planAttachment(accountOf(object), desired);
    expect(plan).toEqual(operations.length === 0 ? [] : [TEST, ...operations]);
  });

  it("fails if somebody else changed the account first", () => {
    const plan = planAttachment(accountOf(account()), ["x"]);
    const newer = account(named("x"));
    newer.metadata.resourceVersion = "8";
    expect(() => apply(newer, plan)).toThrow(jsonpatch.JsonPatchError);
  });
});

const name = fc.constantFrom("a", "b", "c", "d");
const entry = fc.oneof(
  { weight: 5, arbitrary: fc.record({ name }) },
  { weight: 1, arbitrary: fc.constantFrom({}, null, "a", { name: 1 }) },
);
const record = fc.oneof(
  fc.array(name).map((names) => names.join(",")),
  fc.constantFrom("", ",", " a , a"),
);
const anyAccount = fc
  .tuple(
    fc.option(fc.array(entry, { maxLength: 6 }), { nil: undefined }),
    fc.option(fc.record({ [ATTACHED]: record, theirs: fc.constant("stays") }, { requiredKeys: [] }), {
      nil: undefined,
    }),
  )
  .map(([list, annotations]) => account(list, annotations as Readonly<Record<string, string>> | undefined));
const desiredNames = fc.array(name, { maxLength: 4 });

describe("an applied plan", () => {
  it("leaves nothing to do", () => {
    fc.assert(
      fc.property(anyAccount, desiredNames, (object, desired) => {
        const after = attach(object, ...desired);
        expect(planAttachment(accountOf(after), desired)).toEqual([]);
        const names = (after.imagePullSecrets ?? []).map((each) => (each as { name?: unknown } | null)?.name);
        expect(names).toEqual(expect.arrayContaining(desired));
      }),
      { numRuns: 2000 },
    );
  });

  it("keeps the entries of others in number and order, and their annotations", () => {
    fc.assert(
      fc.property(anyAccount, desiredNames, (object, desired) => {
        const after = attach(object, ...desired);
        const ours = new Set(
          (object.metadata.annotations?.[ATTACHED] ?? "").split(",").map((each) => each.trim()),
        );
        const isOurs = (each: unknown): boolean => ours.has((each as { name?: string } | null)?.name ?? "");
        const others = (object.imagePullSecrets ?? []).filter((each) => !isOurs(each));
        const left = (after.imagePullSecrets ?? []).filter((each) => !isOurs(each));
        expect(left.slice(0, others.length)).toEqual(others);
        expect(after.metadata.annotations?.["theirs"]).toBe(object.metadata.annotations?.["theirs"]);
      }),
      { numRuns: 2000 },
    );
  });

  it("is undone by a plan that desires nothing; for the API server, an empty list and none are the same", () => {
    fc.assert(
      fc.property(fc.option(fc.array(entry), { nil: undefined }), desiredNames, (list, desired) => {
        const after = attach(attach(account(list), ...desired));
        expect(after.imagePullSecrets ?? []).toEqual(list ?? []);
        expect(after.metadata.annotations ?? {}).toEqual({});
      }),
      { numRuns: 2000 },
    );
  });
});
