import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  describeProblem,
  enforcesMountableSecrets,
  formatSelector,
  type LabelExpression,
  type NamespaceProblem,
  parseSelector,
  selectorMatches,
} from "../../src/core/labels.ts";

const ABSENT = {};
const AMONG = { team: "a" };
const NOT_AMONG = { team: "c" };

describe("selectorMatches", () => {
  it.each([
    ["In", [false, true, false]],
    ["NotIn", [true, false, true]],
    ["Exists", [false, true, true]],
    ["DoesNotExist", [true, false, false]],
  ] as const)("%s: absent, among the values, not among them: %s", (operator, expected) => {
    const expression: LabelExpression = {
      key: "team",
      operator,
      ...(operator.endsWith("In") && { values: ["a", "b"] }),
    };
    const found = [ABSENT, AMONG, NOT_AMONG].map((labels) =>
      selectorMatches({ matchExpressions: [expression] }, labels),
    );
    expect(found).toEqual(expected);
  });

  it("selects everything with an empty selector", () => {
    expect(selectorMatches({}, ABSENT)).toBe(true);
  });

  it("asks for every label and every expression", () => {
    const selector = {
      matchLabels: { team: "a", tier: "web" },
      matchExpressions: [{ key: "frozen", operator: "DoesNotExist" }],
    } as const;
    expect(selectorMatches(selector, { team: "a", tier: "web" })).toBe(true);
    expect(selectorMatches(selector, { team: "a" })).toBe(false);
    expect(selectorMatches(selector, { team: "a", tier: "web", frozen: "" })).toBe(false);
  });

  it("finds no label on the prototype", () => {
    expect(selectorMatches({ matchExpressions: [{ key: "constructor", operator: "Exists" }] }, {})).toBe(
      false,
    );
  });
});

describe("formatSelector", () => {
  it.each([
    ["", {}],
    ["team=a,tier=web", { matchLabels: { team: "a", tier: "web" } }],
    [
      "team=a,tier in (web,batch),zone notin (eu),owner,!frozen,none in ()",
      {
        matchLabels: { team: "a" },
        matchExpressions: [
          { key: "tier", operator: "In", values: ["web", "batch"] },
          { key: "zone", operator: "NotIn", values: ["eu"] },
          { key: "owner", operator: "Exists" },
          { key: "frozen", operator: "DoesNotExist" },
          { key: "none", operator: "In" },
        ],
      },
    ],
  ] as const)("writes %j as kubectl takes it", (text, selector) => {
    expect(formatSelector(selector)).toBe(text);
  });
});

describe("parseSelector", () => {
  it.each([
    ["", {}],
    [" ", {}],
    ["team", { matchExpressions: [{ key: "team", operator: "Exists" }] }],
    ["!team", { matchExpressions: [{ key: "team", operator: "DoesNotExist" }] }],
    ["team=a", { matchExpressions: [{ key: "team", operator: "In", values: ["a"] }] }],
    ["team == a", { matchExpressions: [{ key: "team", operator: "In", values: ["a"] }] }],
    ["team=", { matchExpressions: [{ key: "team", operator: "In", values: [""] }] }],
    [
      "example.com/team!=a",
      { matchExpressions: [{ key: "example.com/team", operator: "NotIn", values: ["a"] }] },
    ],
    [
      "team in (a, b),zone notin (eu),owner",
      {
        matchExpressions: [
          { key: "team", operator: "In", values: ["a", "b"] },
          { key: "zone", operator: "NotIn", values: ["eu"] },
          { key: "owner", operator: "Exists" },
        ],
      },
    ],
  ])("reads %j", (text, selector) => {
    expect(parseSelector(text)).toEqual(selector);
  });

  it.each(["team=a=b", "team in a", "team in (a", "a,,b", "=a", "!", "team a", "<img>"])(
    "refuses %j",
    (text) => {
      expect(parseSelector(text)).toBeUndefined();
    },
  );

  it("is the inverse of formatSelector", () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const values = fc.array(label, { minLength: 1, maxLength: 3 });
    const expression = fc.oneof(
      fc.record({ key: label, operator: fc.constantFrom("In", "NotIn"), values }),
      fc.record({ key: label, operator: fc.constantFrom("Exists", "DoesNotExist") }),
    );
    const property = fc.property(fc.array(expression, { minLength: 1, maxLength: 4 }), (matchExpressions) => {
      const selector = { matchExpressions: matchExpressions as readonly LabelExpression[] };
      expect(parseSelector(formatSelector(selector))).toEqual(selector);
    });
    fc.assert(property);
  });
});

// The rows of Go's strconv.ParseBool, and what it takes for an error, which the API server reads as false.
it.each([
  [["1", "t", "T", "true", "TRUE", "True"], true],
  [["0", "f", "F", "false", "FALSE", "False"], false],
  [["", "yes", "tRUE", " true", "2", undefined], false],
] as const)("a list of mountable Secrets that is enforced by %j: %s", (values, expected) => {
  for (const value of values) {
    const annotations = value === undefined ? {} : { "kubernetes.io/enforce-mountable-secrets": value };
    expect(enforcesMountableSecrets(annotations)).toBe(expected);
  }
});

describe("what is wrong with a namespace", () => {
  it.each<[NamespaceProblem, Readonly<Record<string, string>>, string]>([
    [
      "InjectLabelHasNoEffect",
      { "pullpass.dev/inject": "true" },
      'The label pullpass.dev/inject=true has no effect. To opt the namespace in, set it to "enabled".',
    ],
    [
      "InjectLabelHasNoEffect",
      {},
      'The label pullpass.dev/inject= has no effect. To opt the namespace in, set it to "enabled".',
    ],
    [
      "LabelsTooLong",
      {},
      "The labels of the namespace have more than 16384 characters. Pullpass does not read them and treats the namespace as not opted in.",
    ],
    [
      "TooManyServiceAccounts",
      {},
      "The annotation pullpass.dev/service-accounts lists more than 100 ServiceAccounts. Pullpass ignores the rest.",
    ],
  ])("is said in a sentence: %s", (problem, labels, sentence) => {
    expect(describeProblem(problem, labels)).toBe(sentence);
  });
});
