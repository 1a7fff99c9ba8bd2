import { describe, expect, it } from "vitest";
import { leaveOutManagedFields } from "../../src/admission/managed-fields.ts";
import { decodeReview } from "../../src/admission/review.ts";
import { recordedReview, RECORDED_NAMES } from "../http/recorded-review.ts";

describe("managed fields are left out of a review", () => {
  const ofPods = RECORDED_NAMES.filter((name) => {
    const { request } = recordedReview(name);
    return request.object?.metadata["managedFields"] !== undefined && request.kind.kind === "Pod";
  });

  it("nearly all recorded reviews have them", () => {
    expect(ofPods.length).toBeGreaterThanOrEqual(RECORDED_NAMES.length - 2);
  });

  it.each(ofPods)("of %s nothing else is lost", (name) => {
    const whole = recordedReview(name);
    const expected = recordedReview(name);
    if (expected.request.object !== null) expected.request.object.metadata["managedFields"] = [];
    expect(JSON.parse(leaveOutManagedFields(JSON.stringify(whole)) ?? "")).toStrictEqual(expected);
  });

  it.each([
    ["there are none", '{"object":{"metadata":{"name":"a"},"spec":{}}}'],
    ["they do not come last", '{"object":{"metadata":{"managedFields":[{}],"name":"a"},"spec":{}}}'],
    ["the spec comes first", '{"object":{"spec":{},"metadata":{"managedFields":[{}]}}}'],
    ["there is no object", '{"userInfo":{"extra":{"managedFields":["x"]},"spec":{}},"object":null}'],
  ])("where %s, a review stays as it is", (_, review) => {
    expect(leaveOutManagedFields(review)).toBeUndefined();
  });

  it("texts that hold the like are not taken for them", () => {
    const annotations = { note: '"object":{"managedFields":[', other: ']},"spec":{' };
    const managedFields = [{ manager: ']},"spec":{' }];
    const review = (fields: readonly unknown[]) => ({
      object: { metadata: { annotations, managedFields: fields }, spec: {} },
    });
    const shortened = leaveOutManagedFields(JSON.stringify(review(managedFields)));
    expect(JSON.parse(shortened ?? "")).toStrictEqual(review([]));
  });

  it("a review that would be no JSON without them is read as it came", () => {
    const object = { metadata: { managedFields: [{}], name: "a" }, more: { list: { of: [1] }, spec: {} } };
    const request = { uid: "u", object };
    const review = JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", request });
    expect(leaveOutManagedFields(review)).not.toBeUndefined();
    expect(decodeReview(review).request).toStrictEqual(request);
  });
});
