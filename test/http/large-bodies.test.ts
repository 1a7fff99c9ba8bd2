import { connect, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MAX_BODY_BYTES, SMALL_BODY_BYTES } from "../../src/http/partial-body.ts";
import { recordedReview, responseIn } from "./recorded-review.ts";
import { startReviewServer, type RunningWebhook } from "./running-webhook.ts";
import type { Answer } from "../send-request.ts";

const UID = "63df8efa-f7e4-4bd9-8385-52e0c61edcc9";
const REVIEW = JSON.stringify(recordedReview("01-create-bare-pod-kubectl-apply.json"));
const TOO_LARGE = "the body is too large to be read, or has too many members\n";
const TOO_MANY = "there are too many large requests at once\n";

let webhook: RunningWebhook;
let sockets: TLSSocket[] = [];
beforeEach(async () => {
  webhook = await startReviewServer();
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
});

/** The recorded review with another member in the pod's spec. */
function reviewWith(member: string): string {
  return REVIEW.replace('"spec":{', () => `"spec":{${member},`);
}

/** The recorded review of so many bytes, nearly all of them text. */
function reviewOf(bytes: number): string {
  const rest = bytes - reviewWith('"hostname":""').length;
  return reviewWith(`"hostname":"${"x".repeat(rest)}"`);
}

function send(body: string): Promise<Answer> {
  return webhook.send({ body });
}

describe("a large review", () => {
  it.each([SMALL_BODY_BYTES, SMALL_BODY_BYTES + 1, 500_000, MAX_BODY_BYTES - 100_000])(
    "of %d bytes gets its patch",
    async (bytes) => {
      const body = reviewOf(bytes);
      expect(body).toHaveLength(bytes);
      expect(responseIn((await send(body)).body)).toMatchObject({ uid: UID, patchType: "JSONPatch" });
    },
  );

  it("of a thousand containers, 300 KiB, gets its patch", async () => {
    const container = JSON.stringify(recordedReview("10-create-init-and-sidecar.json").request.object?.spec);
    const body = reviewWith(`"initContainers":[${Array(200).fill(container).join(",")}]`);
    expect(body.length).toBeGreaterThan(300_000);
    expect(responseIn((await send(body)).body).patchType).toBe("JSONPatch");
  });

  it.each([
    ["longer than what is read", reviewOf(MAX_BODY_BYTES + 1)],
    ["of ten times that length", reviewOf(10 * MAX_BODY_BYTES)],
    ["of a million empty tolerations", reviewWith(`"tolerations":[${"{},".repeat(1_000_000)}{}]`)],
  ])("%s is allowed by its uid alone, with a warning", async (_title, body) => {
    const answer = await send(body);
    expect(answer).toMatchObject({ status: 200, headers: { connection: "close" } });
    expect(responseIn(answer.body)).toEqual({
      uid: UID,
      allowed: true,
      warnings: ["pullpass: nothing injected: the pod is too large to be read"],
    });
    expect(webhook.rejected).toEqual([]);
  });
});

describe("a large body that is no review", () => {
  it.each([
    ["longer than what is read", " ".repeat(MAX_BODY_BYTES + 1)],
    ["of empty objects, which take up twenty times as much memory", `[${"{},".repeat(100_000)}{}]`],
    ["of lists in lists", "[".repeat(300_000)],
    ["of objects with a far element", `[${'{"34":0},'.repeat(60_000)}0]`],
  ])("%s is answered with 413 and one line", async (_title, body) => {
    expect(await send(body)).toMatchObject({
      status: 413,
      body: TOO_LARGE,
      headers: { connection: "close" },
    });
    expect(webhook.rejected).toEqual([{ status: 413, message: TOO_LARGE.trim() }]);
  });

  it("is answered with 413 also if it does not say its length", async () => {
    const { closed } = open(
      `transfer-encoding: chunked\r\n\r\n${`100000\r\n${" ".repeat(0x100000)}\r\n`.repeat(8)}`,
    );
    expect(await closed).toMatch(/^HTTP\/1.1 413 /);
  });
});

describe("bodies that do not end", () => {
  const unfinished = (text: string): string => `content-length: 3000000\r\n\r\n${text}`;
  const spaces = " ".repeat(2_900_000);

  it("give way to those that begin later, the first of them first", async () => {
    const first = open(unfinished(spaces));
    await first.isTaken;
    const second = open(unfinished(spaces));
    await second.isTaken;
    const third = open(unfinished(spaces));
    expect(await first.closed).toMatch(/^HTTP\/1.1 503 .*there are too many large requests at once\n$/s);
    await third.isTaken;
    expect(webhook.rejected).toEqual([{ status: 503, message: TOO_MANY.trim() }]);
  });

  it("are allowed, if they are reviews", async () => {
    const first = open(unfinished(reviewOf(3_000_000).slice(0, 2_900_000)));
    await first.isTaken;
    for (let count = 0; count < 2; count++) await open(unfinished(spaces)).isTaken;
    const [, body = ""] = (await first.closed).split("\r\n\r\n");
    expect(responseIn(body)).toEqual({
      uid: UID,
      allowed: true,
      warnings: ["pullpass: nothing injected: too many large pods are being created at once"],
    });
  });

  it("keep no review from being read, small or large", async () => {
    const sent = Array.from({ length: 20 }, () => open(unfinished(spaces)));
    for (const body of [REVIEW, reviewOf(50_000), reviewOf(2_900_000)]) {
      expect(responseIn((await send(body)).body).patchType).toBe("JSONPatch");
    }
    expect(sent).toHaveLength(20);
  });

  it("are forgotten when their client goes", async () => {
    for (let count = 0; count < 6; count++) {
      const { socket, isTaken } = open(unfinished(spaces));
      await isTaken;
      socket.destroy();
      // An answer means that what came before it was noticed.
      await send(REVIEW);
    }
    expect(webhook.rejected).toEqual([]);
  });
});

interface Opened {
  readonly socket: TLSSocket;
  /** All of it is out of this process. */
  readonly isTaken: Promise<void>;
  /** What came until the server closed. */
  readonly closed: Promise<string>;
}

/** Posts what stands behind the content type of a request's head. */
function open(rest: string): Opened {
  const { port } = new URL(webhook.server.url);
  const socket = connect({ host: "127.0.0.1", port: Number(port), ca: webhook.ca, servername: "localhost" });
  sockets.push(socket);
  let received = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => (received += chunk));
  socket.on("error", () => undefined);
  const isTaken = new Promise<void>((resolve) => {
    socket.write(`POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${rest}`, () => {
      resolve();
    });
  });
  const closed = new Promise<string>((resolve) => {
    socket.on("close", () => {
      resolve(received);
    });
  });
  return { socket, isTaken, closed };
}
