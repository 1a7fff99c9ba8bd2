/** AdmissionReviews that a real API server sent, and what to do with the answers. */
import { readdirSync, readFileSync } from "node:fs";
import jsonpatch, { type Operation } from "fast-json-patch";

const DIRECTORY = new URL("../fixtures/reviews/", import.meta.url);

export const RECORDED_NAMES: readonly string[] = readdirSync(DIRECTORY).toSorted();

export interface RecordedReview {
  apiVersion: string;
  kind: string;
  request: {
    uid: string;
    namespace: string;
    operation: string;
    kind: { group: string; version: string; kind: string };
    subResource?: string;
    object: RecordedPod | null;
    [member: string]: unknown;
  };
}

export interface RecordedPod {
  metadata: {
    annotations?: Record<string, string>;
    labels?: Record<string, string>;
    [member: string]: unknown;
  };
  spec: {
    imagePullSecrets?: { name?: string }[];
    containers: { image: string; [member: string]: unknown }[];
    serviceAccountName?: string;
    [member: string]: unknown;
  };
}

export function recordedReview(name: string): RecordedReview {
  return JSON.parse(readFileSync(new URL(name, DIRECTORY), "utf8")) as RecordedReview;
}

export interface ReviewResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patchType?: string;
  readonly patch?: string;
  readonly warnings?: readonly string[];
}

/** The response of an answered review. */
export function responseIn(text: string): ReviewResponse {
  return (JSON.parse(text) as { readonly response: ReviewResponse }).response;
}

export function operationsIn({ patch }: ReviewResponse): Operation[] {
  return patch === undefined
    ? []
    : (JSON.parse(Buffer.from(patch, "base64").toString("utf8")) as Operation[]);
}

/** The pod as the API server would go on with it. */
export function patchedPod({ request }: RecordedReview, response: ReviewResponse): RecordedPod {
  if (request.object === null) throw new Error("the review is not about an object");
  const pod = structuredClone(request.object);
  return jsonpatch.applyPatch(pod, operationsIn(response), true).newDocument;
}
