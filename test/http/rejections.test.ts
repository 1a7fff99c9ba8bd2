import { connect } from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/http/server.ts";
import { recordedReview, responseIn } from "./recorded-review.ts";
import { startReviewServer, type RunningWebhook } from "./running-webhook.ts";
import type { SentReview } from "../send-request.ts";

let webhook: RunningWebhook;
beforeAll(async () => {
  webhook = await startReviewServer(
    {},
    { ...DEFAULT_LIMITS, headersTimeoutMs: 1_000, requestTimeoutMs: 2_000 },
  );
});

const valid = JSON.stringify(recordedReview("01-create-bare-pod-kubectl-apply.json"));

describe("what is no review", () => {
  it.each<[name: string, status: number, line: string, sent: SentReview]>([
    ["no JSON", 400, "the body is not JSON", { body: "{" }],
    ["an empty body", 400, "the body is not JSON", { body: "" }],
    ["JSON of another kind", 400, "the body is not an AdmissionReview", { body: '{"kind":"Pod"}' }],
    ["null", 400, "the body is not an AdmissionReview", { body: "null" }],
    [
      "a review of another group",
      400,
      "the AdmissionReview is not of the group admission.k8s.io",
      { body: '{"kind":"AdmissionReview","apiVersion":"v1"}' },
    ],
    [
      "a review without a uid",
      400,
      "the AdmissionReview has no request with a uid",
      { body: '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{}}' },
    ],
    [
      "another content type",
      415,
      "the content type has to be application/json",
      { body: valid, headers: { "content-type": "text/plain" } },
    ],
    [
      "a packed body",
      415,
      "the body has to be sent unpacked",
      { body: valid, headers: { "content-encoding": "gzip" } },
    ],
    ["another method", 405, "reviews are sent with POST", { method: "PUT", body: valid }],
    ["GET", 405, "reviews are sent with POST", { method: "GET" }],
    [
      "another path",
      404,
      "there is nothing at this path; reviews go to POST /mutate",
      { path: "/mutated", body: valid },
    ],
    [
      "the root",
      404,
      "there is nothing at this path; reviews go to POST /mutate",
      { path: "/", method: "GET" },
    ],
  ])("%s is answered with %d and one line saying why", async (_name, status, line, sent) => {
    const answer = await webhook.send(sent);
    expect(answer.body).toBe(`${line}\n`);
    expect(answer.status).toBe(status);
    expect(webhook.rejected.at(-1)).toEqual({ status, message: line });
  });

  it("a content type with a charset is JSON all the same", async () => {
    const answer = await webhook.send({
      body: valid,
      headers: { "content-type": "Application/JSON; charset=utf-8" },
    });
    expect(responseIn(answer.body).patch).toBeDefined();
  });
});

describe("senders that take their time", () => {
  it("are cut off when the head does not come", async () => {
    expect(await exchange("POST /mutate HTTP/1.1\r\nhost: x\r\n")).toMatch(/^HTTP\/1.1 408 /);
  });

  it("are cut off when the body does not come", async () => {
    const head = `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{`;
    expect(await exchange(head)).toMatch(/^HTTP\/1.1 408 /);
  });
});

describe("a request that is refused while it is still being sent", () => {
  it("is answered although its client reads only once all is sent, and then the connection ends", async () => {
    const head = "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n";
    const answer = await exchange(`${head}content-length: 4000000\r\n\r\n${" ".repeat(4_000_000)}`);
    expect(answer).toMatch(/^HTTP\/1.1 415 .*connection: close.*application\/json\n$/is);
  });

  it("holds its connection for two seconds at most if its client does not stop", async () => {
    const head = "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n";
    const start = performance.now();
    expect(await exchange(`${head}content-length: 4000000\r\n\r\n{`)).toMatch(/^HTTP\/1.1 415 /);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

/** Writes raw bytes and gives back all that comes until the server closes. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(webhook.server.url);
    const socket = connect(
      { host: "127.0.0.1", port: Number(port), ca: webhook.ca, servername: "localhost" },
      () => {
        socket.write(bytes);
      },
    );
    let received = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      received += chunk;
    });
    socket.on("close", () => {
      resolve(received);
    });
    // The server may close while we still write.
    socket.on("error", (error: Error) => {
      if (received === "") reject(error);
    });
  });
}
