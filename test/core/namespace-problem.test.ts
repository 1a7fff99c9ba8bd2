import { describe, expect, it } from "vitest";
import { describeProblem, type NamespaceProblem } from "../../src/core/namespace-problem.ts";

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
