/** Answers one review over HTTP. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { ReviewHandler } from "../admission/ports.ts";
import {
  decodeReview,
  decodeReviewHead,
  encodeAnswer,
  NotAnAdmissionReviewError,
  type Review,
} from "../admission/review.ts";
import { HttpError } from "./http-error.ts";
import { bodyReader } from "./read-body.ts";
import { respond } from "./respond.ts";

/** Answers a request that is no review, or that failed. */
export type Reject = (response: ServerResponse, error: unknown) => void;

/** Reads the body itself: Express's own JSON parser halves the throughput. */
export function reviewEndpoint(handle: ReviewHandler, reject: Reject): RequestListener {
  const readBody = bodyReader();
  const answer = (response: ServerResponse, decode: () => Review): void => {
    try {
      const review = decode();
      respond(response, 200, JSON_HEADERS, encodeAnswer(review, handle(review).answer));
    } catch (error) {
      reject(
        response,
        error instanceof NotAnAdmissionReviewError ? new HttpError(400, error.message) : error,
      );
    }
  };
  return (request, response) => {
    const typeFault = findTypeFault(request);
    if (typeFault !== undefined) {
      reject(response, new HttpError(415, typeFault));
      return;
    }
    readBody(request, {
      onBody(body) {
        answer(response, () => decodeReview(body));
      },
      // Under failurePolicy Fail a 413 would keep out a pod that the API server itself takes.
      onRefused(error, head) {
        const unread = error.status === 413 ? "review-too-large" : "too-many-large-reviews";
        const review = decodeReviewHead(head, unread);
        if (review === undefined) reject(response, error);
        else answer(response, () => review);
      },
    });
  };
}

const JSON_HEADERS = { "content-type": "application/json" };

/** Only JSON is JSON: a body of another type, or packed, is not guessed at. */
function findTypeFault({ headers }: IncomingMessage): string | undefined {
  const type = headers["content-type"];
  const isJson =
    type === "application/json" || type?.split(";", 1)[0]?.trim().toLowerCase() === "application/json";
  if (!isJson) return "the content type has to be application/json";
  const encoding = headers["content-encoding"];
  return encoding === undefined || encoding === "identity" ? undefined : "the body has to be sent unpacked";
}
