import { expect, it } from "vitest";
import { measured } from "../../src/admission/measured.ts";
import type { HandledReview } from "../../src/admission/ports.ts";
import { skip } from "../../src/core/decision.ts";

it("tells the observer what was done and how many seconds it took", () => {
  const review = { apiVersion: "admission.k8s.io/v1", uid: "some-uid", request: {} };
  const handled: HandledReview = {
    answer: { patch: [], warnings: [] },
    decision: skip("not-a-pod"),
    namespace: "",
    owner: undefined,
  };
  const observed: unknown[] = [];
  const clock = [1000, 1250];
  const handle = measured(
    () => handled,
    () => clock.shift() ?? NaN,
    (...observation) => observed.push(observation),
  );
  expect(handle(review)).toBe(handled);
  expect(observed).toEqual([[review, handled, 0.25]]);
});
