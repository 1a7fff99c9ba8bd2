/** The webhook's routes. What is not a review is answered with 4xx and one line saying why. */
import type { RequestListener, ServerResponse } from "node:http";
import express, { type ErrorRequestHandler, type Express } from "express";
import type { ReviewHandler } from "../admission/ports.ts";
import { HttpError } from "./http-error.ts";
import { respond } from "./respond.ts";
import { reviewEndpoint, type Reject } from "./review-endpoint.ts";

const REVIEW_PATH = "/mutate";

export interface AdmissionAppOptions {
  readonly handle: ReviewHandler;
  /** Told of every request that is no review, and of every failure of ours. */
  readonly onRejected: (status: number, error: Error) => void;
}

/**
 * The Express application with the review's route taken before it: finding the one route that counts costs Express as
 * much as the whole decision (`npm run bench`). Everything else goes through Express.
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
