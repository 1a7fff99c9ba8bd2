/** The webhook's routes. What is not a review is answered with 4xx and one line saying why. */
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from "express";
import type { ReviewHandler } from "../admission/ports.ts";
import { decodeReview, encodeAnswer, NotAnAdmissionReviewError, type Review } from "../admission/review.ts";
import { HttpError } from "./http-error.ts";
import { readBody } from "./read-body.ts";

/**
 * A client may send the API server 3 MiB; a review holds at most two such objects (old and new) and 1 MiB is left for
 * the rest: 7 MiB, as controller-runtime reckons, too.
 */
export const MAX_REVIEW_BYTES = 7 * 1024 * 1024;

const REVIEW_PATH = "/mutate";

export interface AdmissionAppOptions {
  readonly handle: ReviewHandler;
  /** Told of every request that is no review, and of every failure of ours. */
  readonly onRejected: (status: number, error: Error) => void;
}

export function admissionApp({ handle, onRejected }: AdmissionAppOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", false);

  app.post(REVIEW_PATH, async (request: Request, response: Response) => {
    requireJson(request);
    const review = decode(await readBody(request, MAX_REVIEW_BYTES));
    const body = encodeAnswer(review, handle(review).answer);
    response
      .writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
      .end(body);
  });
  app.all(REVIEW_PATH, () => {
    throw new HttpError(405, "reviews are sent with POST", { allow: "POST" });
  });
  app.use(() => {
    throw new HttpError(404, `there is nothing at this path; reviews go to POST ${REVIEW_PATH}`);
  });
  app.use(answerError(onRejected));
  return app;
}

/** Only JSON is JSON: a body of another type, or packed, is not guessed at. */
function requireJson(request: Request): void {
  const type = request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/json") throw new HttpError(415, "the content type has to be application/json");
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity")
    throw new HttpError(415, "the body has to be sent unpacked");
}

function decode(body: string): Review {
  try {
    return decodeReview(body);
  } catch (error) {
    if (error instanceof NotAnAdmissionReviewError) throw new HttpError(400, error.message);
    throw error;
  }
}

/** The last resort, which Express knows by its four parameters. */
function answerError(onRejected: AdmissionAppOptions["onRejected"]): ErrorRequestHandler {
  return (error: unknown, _request, response, _next) => {
    const fault = error instanceof Error ? error : new Error(String(error));
    const { status, message, headers } =
      fault instanceof HttpError ? fault : { status: 500, message: "internal error", headers: {} };
    onRejected(status, fault);
    if (response.headersSent || response.destroyed) return;
    const line = `${message}\n`;
    response
      .writeHead(status, {
        "content-type": "text/plain; charset=utf-8",
        "content-length": Buffer.byteLength(line),
        // What is left of the body is not waited for.
        connection: "close",
        ...headers,
      })
      .end(line);
  };
}
