/** Whatever strangers and tenants send, the chart's memory limit must not get a replica killed. */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { whyNoMemoryCgroup } from "./harness/memory-cgroup.ts";
import { runLimited, type LimitedReplica } from "./harness/run-limited.ts";
import { sendRequest, type Answer } from "../send-request.ts";

const MEBIBYTE = 1024 * 1024;
/** The chart's `timeoutSeconds`: what an API server waits for. */
const WEBHOOK_TIMEOUT_MS = 5_000;
const CONFIGURATION = `
registries:
  - { name: local, address: "127.0.0.1:5000/private", secretName: local-creds }
`;
const REVIEW = readFileSync(
  new URL("../fixtures/reviews/01-create-bare-pod-kubectl-apply.json", import.meta.url),
  "utf8",
);
const HEAD = "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
const TOO_LARGE = "the body is too large to be read, or has too many members\n";

const reason = await whyNoMemoryCgroup();
if (reason !== undefined) process.stderr.write(`SKIPPED a replica under its memory limit: ${reason}\n`);

describe.skipIf(reason !== undefined)("a replica under its memory limit goes on admitting pods", () => {
  let replica: LimitedReplica;
  let sockets: TLSSocket[] = [];
  beforeEach(async () => {
    replica = await runLimited(CONFIGURATION);
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets = [];
    await replica.stop();
  });

  it("while it gets 7 MiB of empty objects, which it answers with 413", async () => {
    const body = list("{},", 7 * MEBIBYTE - 100);
    expect(await outlive(() => post(body))).toMatchObject({ status: 413, body: TOO_LARGE });
  });

  it("while 40 connections have sent 6 MiB each of a body that does not end", async () => {
    const chunk = `100000\r\n${" ".repeat(MEBIBYTE)}\r\n`;
    await outlive(async () => {
      await open(10, `${HEAD}content-length: ${String(7 * MEBIBYTE)}\r\n\r\n${" ".repeat(6 * MEBIBYTE)}`);
      await open(30, `${HEAD}transfer-encoding: chunked\r\n\r\n${chunk.repeat(6)}`);
      await sleep(2_000);
    });
  });

  it("while 8 pods at once have a million empty tolerations each, and allows those, too", async () => {
    const body = reviewWith(`"tolerations":${list("{},", 3_000_000)}`);
    const answers = await outlive(() => Promise.all(Array.from({ length: 8 }, () => post(body))));
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toMatchObject({
        response: {
          allowed: true,
          warnings: ["pullpass: nothing injected: the pod is too large to be read"],
        },
      });
    }
  });

  it("while all comes at once that its limits let through", async () => {
    const costly = [
      list('{"34":0},', 400_000),
      list(Array.from({ length: 40_000 }, (_, count) => `{"${count.toString(36)}z":0},`).join(""), 400_000),
      reviewWith(`"hostname":"${"x".repeat(2.9 * MEBIBYTE)}漢"`),
      reviewWith(`"initContainers":${list('{"image":"127.0.0.1:5000/private/app"},', 600_000)}`),
    ];
    await outlive(async () => {
      await open(300, `${HEAD}content-length: ${String(REVIEW.length)}\r\n\r\n${REVIEW}`);
      await open(100, `${HEAD}content-length: 65536\r\n\r\n${" ".repeat(60_000)}`);
      await open(10, `${HEAD}content-length: 2900000\r\n\r\n${" ".repeat(2_800_000)}`);
      for (const body of costly) {
        // The answers differ, and 503 may be among them.
        for (let round = 0; round < 3; round++)
          await Promise.all(Array.from({ length: 6 }, () => post(body)));
      }
    });
  });

  it("while the port of its probes gets bodies, and requests that do not wait for answers", async () => {
    const { hostname: host, port } = replica.adminUrl;
    const scrapes = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2_000);
    const body = `POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 7000000\r\n\r\n${" ".repeat(6 * MEBIBYTE)}`;
    await outlive(async () => {
      const plain = Array.from({ length: 100 }, (_, count) => {
        const socket = connect({ host, port: Number(port) }).on("error", () => undefined);
        socket.write(count % 2 === 0 ? scrapes : body);
        return socket.pause();
      });
      await sleep(2_000);
      for (const socket of plain) socket.destroy();
      expect((await sendRequest(`${replica.adminUrl.origin}/readyz`)).status).toBe(200);
    });
  });

  /** Attacks, while pods are created one after the other. */
  async function outlive<T>(attack: () => Promise<T>): Promise<T> {
    let isOver = false;
    const createPods = async (): Promise<number> => {
      let slowestMs = 0;
      do {
        const start = performance.now();
        const { status, body } = await post(REVIEW);
        slowestMs = Math.max(slowestMs, performance.now() - start);
        expect(status).toBe(200);
        expect(JSON.parse(body)).toMatchObject({ response: { allowed: true, patchType: "JSONPatch" } });
        await sleep(20);
      } while (!isOver);
      return slowestMs;
    };
    const [outcome, slowestMs] = await Promise.all([
      attack().finally(() => {
        isOver = true;
      }),
      createPods(),
    ]);
    const peak = await replica.peakBytes();
    const { limitBytes } = replica;
    console.log(
      `${(peak / MEBIBYTE).toFixed(0)} of ${String(limitBytes / MEBIBYTE)} MiB, slowest pod ${slowestMs.toFixed(0)} ms`,
    );
    expect(await replica.kills()).toBe(0);
    expect(peak).toBeLessThan(0.9 * limitBytes);
    expect(slowestMs).toBeLessThan(WEBHOOK_TIMEOUT_MS);
    return outcome;
  }

  function post(body: string): Promise<Answer> {
    return sendRequest(`${replica.url.origin}/mutate?timeout=5s`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body).toString() },
      ca: replica.ca,
      body,
    });
  }

  /** Opens connections, sends `text` on each, as far as it is taken, and keeps them. */
  async function open(count: number, text: string): Promise<void> {
    const { hostname: host, port } = replica.url;
    for (let opened = 0; opened < count; opened++) {
      await new Promise<void>((resolve) => {
        const socket = connectTls({ host, port: Number(port), ca: replica.ca }, resolve);
        // That they are cut off is what they are for.
        socket.on("error", () => undefined).resume();
        socket.write(text);
        sockets.push(socket);
      });
    }
  }
});

/** A JSON list of `bytes` bytes or a few more. */
function list(elements: string, bytes: number): string {
  return `[${elements.repeat(Math.ceil(bytes / elements.length))}0]`;
}

/** The recorded review with another member in the pod's spec. */
function reviewWith(member: string): string {
  return REVIEW.replace('"spec":{', () => `"spec":{${member},`);
}
