import { expect, it } from "vitest";
import { measured, type ReviewEvent } from "../../src/admission/measured.ts";
import type { HandledReview } from "../../src/admission/ports.ts";
import { skip } from "../../src/core/decision.ts";

it("tells the observer what was done, when, and how many seconds it took", () => {
  const handled: HandledReview = {
    answer: { patch: undefined, warnings: [] },
    decision: skip("not-a-pod"),
    namespace: "probe",
    owner: "Job/a",
  };
  const observed: ReviewEvent[] = [];
  const elapsed = [1000, 1250];
  const clocks = { now: () => 7, elapsed: () => elapsed.shift() ?? NaN };
  const handle = measured(
    () => handled,
    clocks,
    (event) => observed.push(event),
  );
  const review = { apiVersion: "admission.k8s.io/v1", uid: "some-uid", request: {}, unread: undefined };
  expect(handle(review)).toBe(handled);
  const { decision, namespace, owner } = handled;
  expect(observed).toEqual([{ time: 7, durationSeconds: 0.25, uid: "some-uid", namespace, owner, decision }]);
});
