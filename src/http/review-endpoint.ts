/** Answers one review over HTTP. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { ReviewHandler } from "../admission/ports.ts";
import { decodeReview, encodeAnswer, NotAnAdmissionReviewError } from "../admission/review.ts";
import { HttpError } from "./http-error.ts";
import { readBody } from "./read-body.ts";

/**
 * A client may send the API server 3 MiB; a review holds at most two such objects (old and new) and 1 MiB is left for
 * the rest: 7 MiB, as controller-runtime reckons, too.
 */
export const MAX_REVIEW_BYTES = 7 * 1024 * 1024;

/** Answers a request that is no review, or that failed. */
export type Reject = (response: ServerResponse, error: unknown) => void;

/** Reads the body itself: Express's own JSON parser halves the throughput. */
export function reviewEndpoint(handle: ReviewHandler, reject: Reject): RequestListener {
  return (request, response) => {
    const onFault = (error: unknown): void => {
      reject(response, error);
    };
    const onBody = (body: string): void => {
      try {
        answer(response, reviewBody(handle, body));
      } catch (error) {
        onFault(error instanceof NotAnAdmissionReviewError ? new HttpError(400, error.message) : error);
      }
    };
    const typeFault = findTypeFault(request);
    if (typeFault !== undefined) onFault(new HttpError(415, typeFault));
    else readBody(request, MAX_REVIEW_BYTES, onBody, onFault);
  };
}

function reviewBody(handle: ReviewHandler, body: string): string {
  const review = decodeReview(body);
  return encodeAnswer(review, handle(review).answer);
}

/** The body is ASCII, which Node writes faster as the Latin-1 that it is, too. */
function answer(response: ServerResponse, body: string): void {
  response
    .writeHead(200, { "content-type": "application/json", "content-length": body.length })
    .end(body, "latin1");
}

/** Only JSON is JSON: a body of another type, or packed, is not guessed at. */
function findTypeFault({ headers }: IncomingMessage): string | undefined {
  const type = headers["content-type"];
  const isJson =
    type === "application/json" || type?.split(";", 1)[0]?.trim().toLowerCase() === "application/json";
  if (!isJson) return "the content type has to be application/json";
  const encoding = headers["content-encoding"];
  return encoding === undefined || encoding === "identity" ? undefined : "the body has to be sent unpacked";
}
