import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeReview,
  decodeReviewHead,
  encodeAnswer,
  NotAnAdmissionReviewError,
  withoutManagedFields,
} from "../../src/admission/review.ts";
import { readReview } from "./read-review.ts";
import { RECORDED_NAMES, recordedReview } from "../http/recorded-review.ts";

describe("decodeReview", () => {
  it("README example", () => {
    expect(decodeReview(readReview("01-create-bare-pod-kubectl-apply"))).toMatchObject({
      apiVersion: "admission.k8s.io/v1",
      uid: "63df8efa-f7e4-4bd9-8385-52e0c61edcc9",
      request: { operation: "CREATE", namespace: "probe" },
    });
  });

  it.each([
    ["", "the body is not JSON"],
    ["null", "the body is not an AdmissionReview"],
    ['{"kind":"Pod"}', "the body is not an AdmissionReview"],
    ['{"kind":"AdmissionReview"}', "the AdmissionReview is not of the group admission.k8s.io"],
    [
      '{"kind":"AdmissionReview","apiVersion":"v1"}',
      "the AdmissionReview is not of the group admission.k8s.io",
    ],
    [
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}',
      "the AdmissionReview has no request with a uid",
    ],
    [
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":""}}',
      "the AdmissionReview has no request with a uid",
    ],
    [
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":1}}',
      "the AdmissionReview has no request with a uid",
    ],
    [
      `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"${"x".repeat(257)}"}}`,
      "the AdmissionReview has no request with a uid",
    ],
  ])("refuses %s", (body, message) => {
    expect(() => decodeReview(body)).toThrow(new NotAnAdmissionReviewError(message));
  });

  it("throws nothing but its own error", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
        expect(() => decodeReview(body)).toThrow(NotAnAdmissionReviewError);
      }),
    );
  });
});

describe("decodeReviewHead", () => {
  const text = readReview("01-create-bare-pod-kubectl-apply");
  const objectStart = text.indexOf('"object":{') + '"object":{'.length;

  it.each([
    ["only begins", objectStart],
    ["is there in part", objectStart + 500],
  ])("reads all that stands before an object that %s", (_title, length) => {
    const { request, ...rest } = decodeReview(text);
    expect(decodeReviewHead(text.slice(0, length), "review-too-large")).toEqual({
      ...rest,
      request: {
        ...Object.fromEntries(Object.entries(request).slice(0, Object.keys(request).indexOf("object"))),
        object: null,
      },
      unread: "review-too-large",
    });
  });

  it("reads all that stands before the old object where there is no new one", () => {
    const deletion = readReview("23-delete-pod");
    const head = deletion.slice(0, deletion.indexOf('"oldObject":{') + 500);
    expect(decodeReviewHead(head, "review-too-large")).toMatchObject({
      request: { operation: "DELETE", object: null },
    });
  });

  it.each([
    ["ends before the object", text.slice(0, objectStart - 1)],
    ["is not a review", '{"object":{'],
    ["is no JSON up to there", `x${text}`],
    [
      "says its uid only later",
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"object":{',
    ],
    ["is another object's", '{"kind":"Pod","object":{'],
  ])("finds nothing in a head that %s", (_title, head) => {
    expect(decodeReviewHead(head, "review-too-large")).toBeUndefined();
  });
});

describe("encodeAnswer", () => {
  const review = { apiVersion: "admission.k8s.io/v1", uid: "some-uid" };

  it("says nothing more than that the pod is allowed", () => {
    expect(JSON.parse(encodeAnswer(review, { patch: undefined, warnings: [] }))).toEqual({
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      response: { uid: "some-uid", allowed: true },
    });
  });

  it("answers in the version that was asked in", () => {
    const answer = encodeAnswer(
      { ...review, apiVersion: "admission.k8s.io/v1beta1" },
      { patch: undefined, warnings: [] },
    );
    expect(JSON.parse(answer)).toMatchObject({ apiVersion: "admission.k8s.io/v1beta1" });
  });

  it("sends a patch with its type", () => {
    expect(JSON.parse(encodeAnswer(review, { patch: "W10=", warnings: ["careful"] }))).toMatchObject({
      response: {
        uid: "some-uid",
        allowed: true,
        warnings: ["careful"],
        patchType: "JSONPatch",
        patch: "W10=",
      },
    });
  });
});

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
    expect(JSON.parse(withoutManagedFields(JSON.stringify(whole)) ?? "")).toStrictEqual(expected);
  });

  it.each([
    ["there are none", '{"object":{"metadata":{"name":"a"},"spec":{}}}'],
    ["they do not come last", '{"object":{"metadata":{"managedFields":[{}],"name":"a"},"spec":{}}}'],
    ["the spec comes first", '{"object":{"spec":{},"metadata":{"managedFields":[{}]}}}'],
    ["there is no object", '{"userInfo":{"extra":{"managedFields":["x"]},"spec":{}},"object":null}'],
  ])("where %s, a review stays as it is", (_, review) => {
    expect(withoutManagedFields(review)).toBeUndefined();
  });

  it("texts that hold the like are not taken for them", () => {
    const annotations = { note: '"object":{"managedFields":[', other: ']},"spec":{' };
    const managedFields = [{ manager: ']},"spec":{' }];
    const review = (fields: readonly unknown[]) => ({
      object: { metadata: { annotations, managedFields: fields }, spec: {} },
    });
    const shortened = withoutManagedFields(JSON.stringify(review(managedFields)));
    expect(JSON.parse(shortened ?? "")).toStrictEqual(review([]));
  });

  it("a review that would be no JSON without them is read as it came", () => {
    const object = { metadata: { managedFields: [{}], name: "a" }, more: { list: { of: [1] }, spec: {} } };
    const request = { uid: "u", object };
    const review = JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", request });
    expect(withoutManagedFields(review)).not.toBeUndefined();
    expect(decodeReview(review).request).toStrictEqual(request);
  });
});
