/** The webhook's routes. A request that is not a review is answered with 4xx and one line saying why. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import express, { type ErrorRequestHandler, type Express } from "express";
import type { ReviewHandler } from "../admission/ports.ts";
import { HttpError, respond } from "./respond.ts";
import {
  decodeReview,
  decodeReviewHead,
  encodeAnswer,
  NotAnAdmissionReviewError,
  type Review,
} from "../admission/review.ts";
import { bodyReader } from "./read-body.ts";

const REVIEW_PATH = "/mutate";

export interface AdmissionAppOptions {
  readonly handle: ReviewHandler;
  /** Called for every request that is not a review, and for every failure of ours. */
  readonly onRejected: (status: number, error: Error) => void;
}

/**
 * The Express application, and before it the route of reviews: Express's router takes 15 to 20 % of a review (`npm run bench`).
 * Every other request goes through Express.
 */
export function admissionListener({ handle, onRejected }: AdmissionAppOptions): RequestListener {
  const reject = rejection(onRejected);
  const endpoint = reviewEndpoint(handle, reject);
  const app = admissionApp(endpoint, reject);
  return (request, response) => {
    if (request.method === "POST" && isReviewPath(request.url ?? "")) endpoint(request, response);
    else app(request, response);
  };
}

function admissionApp(endpoint: RequestListener, reject: Reject): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", false);

  app.post(REVIEW_PATH, endpoint);
  app.all(REVIEW_PATH, () => {
    throw new HttpError(405, "reviews are sent with POST", { allow: "POST" });
  });
  app.use(() => {
    throw new HttpError(404, `there is nothing at this path; reviews go to POST ${REVIEW_PATH}`);
  });
  // Express knows it by its four parameters.
  app.use(((error: unknown, _request, response, _next) => {
    reject(response, error);
  }) satisfies ErrorRequestHandler);
  return app;
}

/** The API server adds a query, `?timeout=10s`. */
function isReviewPath(url: string): boolean {
  return (
    url.startsWith(REVIEW_PATH) && (url.length === REVIEW_PATH.length || url[REVIEW_PATH.length] === "?")
  );
}

function rejection(onRejected: AdmissionAppOptions["onRejected"]): Reject {
  return (response: ServerResponse, error: unknown) => {
    const fault = error instanceof Error ? error : new Error(String(error));
    const { status, message, headers } =
      fault instanceof HttpError ? fault : { status: 500, message: "internal error", headers: {} };
    onRejected(status, fault);
    if (response.headersSent || response.destroyed) return;
    // ASCII, all of them, and so is what a client can bring into them.
    respond(
      response,
      status,
      { "content-type": "text/plain; charset=utf-8", connection: "close", ...headers },
      `${message}\n`,
    );
  };
}

/** Answers a request that is not a review, or that failed. */
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
