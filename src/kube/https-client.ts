/** Requests to the API server over node:https: in turn, in time, and again when it asks for that. */
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { isObject, type JsonObject } from "../core/kubernetes.ts";
import type { Lane } from "../replicator/ports.ts";
import { apiError } from "./api-error.ts";
import { KubeApiError, KubeUnreachableError, type KubeClient, type KubeRequest } from "./client.ts";
import type { KubeConnection } from "./connection.ts";
import { createCutOff } from "./cut-off.ts";
import { readEvents } from "./read-events.ts";
import type { RequestRate } from "./request-rate.ts";
import { retryAfterMs } from "./retry-after.ts";
import { createSender } from "./send.ts";

/** A request that was sent; one that is sent again counts again. */
export interface RequestFacts {
  readonly method: KubeRequest["method"] | "WATCH";
  /** The HTTP status; undefined if there was no answer. */
  readonly status: number | undefined;
  readonly lane: Lane | undefined;
  /** From sending to the end of the answer; for a watch, to its head. */
  readonly durationSeconds: number;
  /** How long it waited for its turn before. */
  readonly waitedSeconds: number;
}

/** The API server asked us to wait. */
export interface ThrottleFacts {
  /** 429 or 503. */
  readonly status: number;
  readonly retryAfterSeconds: number;
}

export interface HttpsClientOptions {
  readonly connection: KubeConnection;
  /** The client closes it when it is closed. */
  readonly rate: RequestRate;
  readonly onRequest?: (facts: RequestFacts) => void;
  readonly onThrottled?: (facts: ThrottleFacts) => void;
  /** A whole answer, or the head of a watch, has to be there by then. Default: 30 s. */
  readonly timeoutMs?: number;
}

/** After so many the caller gets the answer. */
const MAX_RETRIES = 5;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number | undefined;
}

export function createHttpsClient(options: HttpsClientOptions): KubeClient {
  const { connection, rate, onRequest, onThrottled, timeoutMs = 30_000 } = options;
  const sender = createSender(connection);
  // A dead peer is on the other end of all connections, and each would take a whole time limit to be noticed.
  const cutOff = createCutOff(timeoutMs, () => {
    sender.dropIdle();
  });
  const closing = new AbortController();

  /** Waits for the lane's turn, and reports. */
  async function sendInTurn(request: KubeRequest): Promise<Answer> {
    const askedAt = performance.now();
    const leave = request.lane === undefined ? undefined : await rate.enter(request.lane);
    const waitedSeconds = (performance.now() - askedAt) / 1000;
    const report = stopwatch({ method: request.method, lane: request.lane, waitedSeconds });
    let status: number | undefined;
    try {
      return await cutOff.run(async (signal) => {
        const answer = await readAnswer(await sender.send(request, signal));
        status = answer.status;
        return answer;
      });
    } finally {
      leave?.();
      report(status);
    }
  }

  function stopwatch(
    facts: Pick<RequestFacts, "method" | "lane" | "waitedSeconds">,
  ): (status: number | undefined) => void {
    const startedAt = performance.now();
    return (status) => {
      onRequest?.({ ...facts, status, durationSeconds: (performance.now() - startedAt) / 1000 });
    };
  }

  async function sendUntilTaken(request: KubeRequest): Promise<Answer> {
    for (let retry = 0; ; retry++) {
      const answer = await sendInTurn(request);
      if (answer.retryAfterMs === undefined || retry === MAX_RETRIES) return answer;
      onThrottled?.({ status: answer.status, retryAfterSeconds: answer.retryAfterMs / 1000 });
      // Whoever is in a lane waits there for the end of the pause.
      rate.pauseFor(answer.retryAfterMs);
      if (request.lane === undefined) {
        await sleep(answer.retryAfterMs, undefined, { signal: closing.signal });
      }
    }
  }

  return {
    async request(request) {
      const call = `${request.method} ${request.path}`;
      const { status, text } = await sendUntilTaken(request).catch((error: unknown) => {
        throw unreachable(call, error);
      });
      if (status >= 400) throw apiError(call, status, text, request.body !== undefined);
      return parseObject(call, text);
    },

    async watch({ path, query, accept }, onEvent, signal, onOpen) {
      const call = `WATCH ${path}`;
      const request: KubeRequest = { method: "GET", path, query, ...(accept !== undefined && { accept }) };
      const report = stopwatch({ method: "WATCH", lane: undefined, waitedSeconds: 0 });
      let status: number | undefined;
      let consumer: { readonly failure: unknown } | undefined;
      try {
        await cutOff.run(async (cut, lift) => {
          const answer = await sender.sendAlone(request, cut);
          status = answer.statusCode ?? 0;
          report(status);
          if (status >= 400) throw apiError(call, status, (await readAnswer(answer)).text, false);
          lift();
          onOpen?.();
          await readEvents(answer, (event) => {
            try {
              onEvent(event);
            } catch (failure) {
              consumer = { failure };
              throw failure;
            }
          });
        }, signal);
      } catch (error) {
        if (status === undefined) report(undefined);
        if (consumer !== undefined) throw consumer.failure;
        if (!signal.aborted) throw unreachable(call, error);
      }
    },

    reconnect() {
      sender.dropIdle();
      cutOff.endAll();
    },

    close() {
      closing.abort();
      rate.close();
      cutOff.close();
      sender.close();
    },
  };
}

async function readAnswer(answer: IncomingMessage): Promise<Answer> {
  answer.setEncoding("utf8");
  let text = "";
  for await (const chunk of answer as AsyncIterable<string>) text += chunk;
  const status = answer.statusCode ?? 0;
  return { status, text, retryAfterMs: retryAfterMs(status, answer.headers["retry-after"], Date.now()) };
}

/** No error of the parser is passed on: it quotes the text, and the text may be a Secret. */
function parseObject(call: string, text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (!isObject(value)) throw new KubeUnreachableError(`${call}: the answer is no JSON object`);
  return value;
}

function unreachable(call: string, error: unknown): KubeApiError | KubeUnreachableError {
  if (error instanceof KubeApiError) return error;
  return new KubeUnreachableError(`${call}: ${reasonOf(error)}`, { cause: error });
}

/** Where a name has several addresses and none answers, the system's error has a code only. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  if (error.message !== "") return error.message;
  return "code" in error ? String(error.code) : error.name;
}
