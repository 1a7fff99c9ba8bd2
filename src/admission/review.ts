/** Reads AdmissionReviews and writes the answers (k8s.io/api `admission/v1`; v1beta1 has the same members). */
import type { SkipReason } from "../core/decision.ts";
import { isObject, type JsonObject } from "../core/kubernetes.ts";
import { parseJson } from "../core/parse-json.ts";

/** A review that can be answered: it has a uid. */
export interface Review {
  /** `admission.k8s.io/v1`, or another version, which is answered in kind. */
  readonly apiVersion: string;
  readonly uid: string;
  /** The request as it came; its other members are read where they are needed. */
  readonly request: JsonObject;
  /** Why the object of the request was not read; undefined if it was. */
  readonly unread: UnreadReason | undefined;
}

export type UnreadReason = Extract<SkipReason, "review-too-large" | "too-many-large-reviews">;

/** The answer to a review. It always allows: Pullpass never rejects a pod. */
export interface Answer {
  /** A JSON patch in base64, or undefined for none. */
  readonly patch: string | undefined;
  readonly warnings: readonly string[];
}

/** Thrown for a body that cannot be answered: not JSON, not an AdmissionReview, or without a uid. */
export class NotAnAdmissionReviewError extends Error {
  override readonly name = "NotAnAdmissionReviewError";
}

const API_GROUP = "admission.k8s.io/";
/** Of what an answer and the log repeat. A uid is a UUID of 36 characters; making ASCII of a long text costs much more than parsing it. */
const MAX_REPEATED_LENGTH = 256;

/** @throws NotAnAdmissionReviewError if there is no uid to answer to. */
export function decodeReview(body: string): Review {
  const review = parseReview(body);
  if (!isObject(review) || review["kind"] !== "AdmissionReview") {
    throw new NotAnAdmissionReviewError("the body is not an AdmissionReview");
  }
  const { apiVersion, request } = review;
  if (!isShortText(apiVersion) || !apiVersion.startsWith(API_GROUP)) {
    throw new NotAnAdmissionReviewError("the AdmissionReview is not of the group admission.k8s.io");
  }
  const uid = isObject(request) ? request["uid"] : undefined;
  if (!isObject(request) || !isShortText(uid) || uid === "") {
    throw new NotAnAdmissionReviewError("the AdmissionReview has no request with a uid");
  }
  return { apiVersion, uid, request, unread: undefined };
}

function isShortText(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_REPEATED_LENGTH;
}

/** No member before the request's object has such a one within. */
const OBJECT_START = /"object":(?:\{|null)/;

/**
 * The review that begins with `head`, without its object, or undefined where the object does not begin in it: an API server
 * writes the uid, and all else that an answer needs, before it. So there is an answer to a review that is not read as a whole.
 */
export function decodeReviewHead(head: string, unread: UnreadReason): Review | undefined {
  const end = head.search(OBJECT_START);
  if (end < 0) return undefined;
  try {
    return { ...decodeReview(`${head.slice(0, end)}"object":null}}`), unread };
  } catch {
    return undefined;
  }
}

/** JSON for the response's body, in ASCII, so that a character is a byte. The request is not sent back: nobody reads it, and it doubles the traffic. */
export function encodeAnswer(
  { apiVersion, uid }: Pick<Review, "apiVersion" | "uid">,
  { patch, warnings }: Answer,
): string {
  const response = {
    uid,
    allowed: true,
    warnings: warnings.length > 0 ? warnings : undefined,
    // Both or none of them: the API server counts one alone as a failed call.
    patchType: patch === undefined ? undefined : "JSONPatch",
    patch,
  };
  const json = JSON.stringify({ apiVersion, kind: "AdmissionReview", response });
  const isAscii = Buffer.byteLength(json) === json.length;
  return isAscii ? json : json.replace(BEYOND_ASCII, escapeCodeUnit);
}

const BEYOND_ASCII = /[^\x00-\x7f]/g;

function escapeCodeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function parseReview(body: string): unknown {
  const shorter = withoutManagedFields(body);
  // Undefined, too, where it was not what it looked like.
  const value = shorter === undefined ? undefined : parseJson(shorter);
  const review = value ?? parseJson(body);
  if (review === undefined) throw new NotAnAdmissionReviewError("the body is not JSON");
  return review;
}

/** Before it come only members that have neither of the other two within. */
const OBJECT = '"object":{';
const START = '"managedFields":[';
/** The list is the last member of an object's metadata, and the spec comes next: so the API server writes them. */
const END = ']},"spec":{';

/**
 * The review with an empty `metadata.managedFields`, or undefined if there is none where the API server writes it. Pullpass does
 * not read the list, in which every field of the pod is a key. That saves 1.7 µs for three containers and 50 of
 * 152 µs for a hundred (docs/benchmarks.md). JSON errors within the list go unnoticed.
 *
 * All three strings have a quote without a backslash before it, so none can be found within a string of valid JSON. In a
 * review that no API server writes they may be found elsewhere. The rest is then rarely JSON, and the whole is parsed instead.
 */
export function withoutManagedFields(review: string): string | undefined {
  const object = review.indexOf(OBJECT);
  const start = object < 0 ? -1 : review.indexOf(START, object);
  const end = start < 0 ? -1 : review.indexOf(END, start);
  return end < 0 ? undefined : review.slice(0, start + START.length) + review.slice(end);
}
