import { expect, it } from "vitest";
import { findMode } from "../../src/core/mode.ts";

// In the order of the table in mode.ts.
it.each([
  ["there", "there", "policy+webhook", undefined],
  ["there", "missing", "policy", undefined],
  ["there", "not-readable", "policy", "Whether there is a webhook beside the policy"],
  ["missing", "there", "webhook", undefined],
  ["missing", "missing", "webhook", "Neither Pullpass's webhook nor its policy is there"],
  ["missing", "not-readable", "webhook", "Whether Pullpass's webhook is there is not known"],
  ["not-readable", "there", "webhook", "Whether there is a policy beside the webhook"],
  ["not-readable", "missing", "policy", "it is assumed, because there is no webhook"],
  ["not-readable", "not-readable", "webhook", "the webhook is assumed"],
] as const)("with the policy %s and the webhook %s, the mode is %s", (policy, webhook, mode, assumption) => {
  const found = findMode(policy, webhook);
  expect(found.mode).toBe(mode);
  if (assumption === undefined) expect(found.assumption).toBeUndefined();
  else expect(found.assumption).toContain(assumption);
});
