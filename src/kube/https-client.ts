/** Requests to the API server over node:https: in turn, in time, and again when it asks for that. */
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { isObject, type JsonObject } from "../core/kubernetes.ts";
import type { Lane } from "../replicator/ports.ts";
import { apiError } from "./api-error.ts";
import {
  KubeApiError,
  KubeNotSentError,
  KubeUnreachableError,
  type KubeClient,
  type KubeRequest,
} from "./client.ts";
import type { KubeConnection } from "./connection.ts";
import { createCutOff } from "./cut-off.ts";
import { readEvents } from "./read-events.ts";
import { readItems } from "./read-items.ts";
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
  /** A whole answer, the head of a watch, or the next part of a list has to be there by then. Default: 30 s. */
  readonly timeoutMs?: number;
}

/** After so many the caller gets the answer. */
const MAX_RETRIES = 5;

interface Answer {
  readonly status: number;
  /** Without the items of a list. */
  readonly text: string;
  readonly retryAfterMs: number | undefined;
}

type OnItem = (item: JsonObject) => void;

export function createHttpsClient(options: HttpsClientOptions): KubeClient {
  const { connection, rate, onRequest, onThrottled, timeoutMs = 30_000 } = options;
  const sender = createSender(connection);
  // A dead peer is on the other end of all connections, and each would take a whole time limit to be noticed.
  const cutOff = createCutOff(timeoutMs, () => {
    sender.dropIdle();
  });
  const closing = new AbortController();

  /** Waits for the lane's turn, and reports. */
  async function sendInTurn(request: KubeRequest, onItem: OnItem | undefined): Promise<Answer> {
    const askedAt = performance.now();
    const leave = request.lane === undefined ? undefined : await rate.enter(request.lane);
    if (request.mayBeSent?.() === false) {
      leave?.();
      throw new KubeNotSentError(`${request.method} ${request.path}: it was not sent`);
    }
    const waitedSeconds = (performance.now() - askedAt) / 1000;
    const report = stopwatch({ method: request.method, lane: request.lane, waitedSeconds });
    let status: number | undefined;
    try {
      return await cutOff.run(async (signal, limit) => {
        const message = await sender.send(request, signal);
        status = message.statusCode ?? 0;
        return await (onItem === undefined || status >= 400
          ? readAnswer(message)
          : readListAnswer(message, onItem, limit.extend));
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

  async function sendUntilTaken(request: KubeRequest, onItem?: OnItem): Promise<Answer> {
    for (let retry = 0; ; retry++) {
      const answer = await sendInTurn(request, onItem);
      if (answer.retryAfterMs === undefined || retry === MAX_RETRIES) return answer;
      onThrottled?.({ status: answer.status, retryAfterSeconds: answer.retryAfterMs / 1000 });
      // Whoever is in a lane waits there for the end of the pause.
      rate.pauseFor(answer.retryAfterMs);
      if (request.lane === undefined) {
        await sleep(answer.retryAfterMs, undefined, { signal: closing.signal });
      }
    }
  }

  async function request(asked: KubeRequest, onItem?: OnItem): Promise<JsonObject> {
    const call = `${asked.method} ${asked.path}`;
    const { status, text } = await sendUntilTaken(asked, onItem).catch((error: unknown) => {
      throw unreachable(call, error);
    });
    if (status >= 400) throw apiError(call, status, text, asked.body !== undefined);
    return parseObject(call, text);
  }

  return {
    request: (asked) => request(asked),

    async list(asked, onItem) {
      const consumer = guardConsumer(onItem);
      try {
        return await request(asked, consumer.call);
      } catch (error) {
        consumer.rethrow();
        throw error;
      }
    },

    async watch({ path, query, accept }, onEvent, signal, onOpen) {
      const call = `WATCH ${path}`;
      const request: KubeRequest = { method: "GET", path, query, ...(accept !== undefined && { accept }) };
      const report = stopwatch({ method: "WATCH", lane: undefined, waitedSeconds: 0 });
      let status: number | undefined;
      const consumer = guardConsumer(onEvent);
      try {
        await cutOff.run(async (cut, limit) => {
          const answer = await sender.sendAlone(request, cut);
          status = answer.statusCode ?? 0;
          report(status);
          if (status >= 400) throw apiError(call, status, (await readAnswer(answer)).text, false);
          limit.lift();
          onOpen?.();
          await readEvents(answer, consumer.call);
        }, signal);
      } catch (error) {
        if (status === undefined) report(undefined);
        consumer.rethrow();
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

/** However long the list is, it goes on for as long as something comes. */
async function readListAnswer(answer: IncomingMessage, onItem: OnItem, onChunk: () => void): Promise<Answer> {
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      onChunk();
      yield chunk;
    }
  }
  return { status: answer.statusCode ?? 0, text: await readItems(chunks(), onItem), retryAfterMs: undefined };
}

/** Tells the errors of whoever is called back from those of the connection. */
function guardConsumer<T>(callback: (value: T) => void): {
  readonly call: (value: T) => void;
  /** Throws what the callback threw, if it did. */
  readonly rethrow: () => void;
} {
  let thrown: { readonly failure: unknown } | undefined;
  return {
    call(value) {
      try {
        callback(value);
      } catch (failure) {
        thrown = { failure };
        throw failure;
      }
    },
    rethrow() {
      if (thrown !== undefined) throw thrown.failure;
    },
  };
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

function unreachable(call: string, error: unknown): Error {
  if (error instanceof KubeApiError || error instanceof KubeNotSentError) return error;
  return new KubeUnreachableError(`${call}: ${reasonOf(error)}`, { cause: error });
}

/** Where a name has several addresses and none answers, the system's error has a code only. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  if (error.message !== "") return error.message;
  return "code" in error ? String(error.code) : error.name;
}
