/**
 * Requests to the API server: authenticated, in their turn, within a deadline, and again when the API server asks for that.
 *
 * client-node's own transport opens a TLS connection for each request, so its generated APIs run on this one (api.ts).
 * Lists and watches, whose objects are read one by one, use it directly.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { isObject, type JsonObject } from "../core/kubernetes.ts";
import { parseJson } from "../core/parse-json.ts";
import type { Priority } from "../replicator/ports.ts";
import type { KubeConnection } from "./connection.ts";
import { createDeadlines, type Deadlines } from "./deadline.ts";
import { apiError, KubeApiError, KubeNotSentError, KubeUnreachableError } from "./errors.ts";
import { createSender, type KubeRequest, type Sender } from "./http-request.ts";
import { decodeList } from "./list-decoder.ts";
import type { RequestRate } from "./request-rate.ts";
import { decodeWatch, type WatchEvent } from "./watch-decoder.ts";

export interface KubeWatchRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly accept?: string;
}

/** A request that was sent; one that is sent again counts again. */
export interface RequestInfo {
  readonly method: KubeRequest["method"] | "WATCH";
  /** The HTTP status; undefined if there was no answer. */
  readonly status: number | undefined;
  readonly priority: Priority | undefined;
  /** From sending to the end of the answer; for a watch, to its head. */
  readonly durationSeconds: number;
  /** How long it waited for its turn before. */
  readonly waitedSeconds: number;
}

/** The API server asked us to wait. */
export interface ThrottleInfo {
  /** 429 or 503. */
  readonly status: number;
  readonly retryAfterSeconds: number;
}

export interface TransportOptions {
  readonly connection: KubeConnection;
  /** Closed with the transport. */
  readonly rate: RequestRate;
  readonly onRequest?: (request: RequestInfo) => void;
  readonly onThrottled?: (throttle: ThrottleInfo) => void;
  /** Deadline for a whole answer, for the head of a watch, and for the next part of a list. Default: 30 s. */
  readonly timeoutMs?: number;
}

/** After so many retries the caller gets the answer. */
const MAX_RETRIES = 5;

interface Answer {
  readonly status: number;
  /** Without the items of a list. */
  readonly text: string;
  readonly retryAfterMs: number | undefined;
}

type OnItem = (item: JsonObject) => void;

export class Transport {
  readonly #options: TransportOptions;
  readonly #sender: Sender;
  readonly #deadlines: Deadlines;
  readonly #closing = new AbortController();

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#sender = createSender(options.connection);
    // A dead peer is at the other end of all connections, and each would take a whole deadline to be noticed.
    this.#deadlines = createDeadlines(options.timeoutMs ?? 30_000, this.#sender.replaceAgent);
  }

  /**
   * The answer's body.
   *
   * @throws KubeApiError for a status of 400 and above, KubeUnreachableError if there was no answer, KubeNotSentError.
   */
  send(request: KubeRequest): Promise<string> {
    return this.#send(request);
  }

  /** Like `send`: the answer's object. */
  async request(request: KubeRequest): Promise<JsonObject> {
    return parseObject(callOf(request), await this.#send(request));
  }

  /**
   * Like `request`, for a list: passes its items on one by one and returns the list without them, so that only one item
   * is in memory at a time.
   *
   * @throws the same, and whatever `onItem` throws. Some items were passed on by then.
   */
  async list(request: KubeRequest, onItem: OnItem): Promise<JsonObject> {
    const consumer = guardConsumer(onItem);
    try {
      return parseObject(callOf(request), await this.#send(request, consumer.call));
    } catch (error) {
      consumer.rethrow();
      throw error;
    }
  }

  /**
   * Passes on each event until the stream ends or `signal` aborts, and then resolves. `onOpen` is called when the API
   * server has accepted the watch.
   *
   * @throws KubeApiError, KubeUnreachableError, and whatever `onEvent` throws
   */
  async watch(
    { path, query, accept }: KubeWatchRequest,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
    onOpen?: () => void,
  ): Promise<void> {
    const call = `WATCH ${path}`;
    const request: KubeRequest = { method: "GET", path, query, ...(accept !== undefined && { accept }) };
    const report = this.#stopwatch({ method: "WATCH", priority: undefined, waitedSeconds: 0 });
    let status: number | undefined;
    const consumer = guardConsumer(onEvent);
    try {
      await this.#deadlines.run(async (aborted, deadline) => {
        // On a connection of its own: a kept one may be as dead as that of the watch before.
        using own = this.#sender.openAgent();
        const response = await this.#sender.send(request, aborted, own);
        status = response.statusCode;
        report(status);
        if (status >= 400) throw apiError(call, status, (await readAnswer(response)).text, false);
        deadline.lift();
        onOpen?.();
        await decodeWatch(response.body, consumer.call);
      }, signal);
    } catch (error) {
      if (status === undefined) report(undefined);
      consumer.rethrow();
      if (!signal.aborted) throw unreachable(call, error);
    }
  }

  /**
   * Closes all connections and aborts what is in flight on them: a dead peer is at the other end of all of them. Requests
   * and watches fail with KubeUnreachableError and may be repeated.
   */
  reconnect(): void {
    this.#sender.replaceAgent();
    this.#deadlines.abortAll();
  }

  close(): void {
    this.#closing.abort();
    this.#options.rate.close();
    this.#deadlines.close();
    this.#sender.close();
  }

  async #send(request: KubeRequest, onItem?: OnItem): Promise<string> {
    const call = callOf(request);
    const { status, text } = await this.#sendUntilAccepted(request, onItem).catch((error: unknown) => {
      throw unreachable(call, error);
    });
    if (status >= 400) throw apiError(call, status, text, request.body !== undefined);
    return text;
  }

  async #sendUntilAccepted(request: KubeRequest, onItem?: OnItem): Promise<Answer> {
    const { rate, onThrottled } = this.#options;
    for (let retry = 0; ; retry++) {
      const answer = await this.#sendInTurn(request, onItem);
      if (answer.retryAfterMs === undefined || retry === MAX_RETRIES) return answer;
      onThrottled?.({ status: answer.status, retryAfterSeconds: answer.retryAfterMs / 1000 });
      // Whoever has a priority waits for the end of the pause in its queue.
      rate.pauseFor(answer.retryAfterMs);
      if (request.priority === undefined) {
        await sleep(answer.retryAfterMs, undefined, { signal: this.#closing.signal });
      }
    }
  }

  /** Waits for its turn, sends, and reports. */
  async #sendInTurn(request: KubeRequest, onItem: OnItem | undefined): Promise<Answer> {
    const { rate } = this.#options;
    const askedAt = performance.now();
    const release = request.priority === undefined ? undefined : await rate.acquire(request.priority);
    if (request.mayBeSent?.() === false) {
      release?.();
      throw new KubeNotSentError(`${request.method} ${request.path}: it was not sent`);
    }
    const waitedSeconds = (performance.now() - askedAt) / 1000;
    const report = this.#stopwatch({ method: request.method, priority: request.priority, waitedSeconds });
    let status: number | undefined;
    try {
      return await this.#deadlines.run(async (signal, deadline) => {
        const response = await this.#sender.send(request, signal);
        status = response.statusCode;
        return await (onItem === undefined || status >= 400
          ? readAnswer(response)
          : readListAnswer(response, onItem, deadline.extend));
      });
    } finally {
      release?.();
      report(status);
    }
  }

  #stopwatch(
    info: Pick<RequestInfo, "method" | "priority" | "waitedSeconds">,
  ): (status: number | undefined) => void {
    const startedAt = performance.now();
    return (status) => {
      const durationSeconds = (performance.now() - startedAt) / 1000;
      this.#options.onRequest?.({ ...info, status, durationSeconds });
    };
  }
}

async function readAnswer({ statusCode: status, headers, body }: Dispatcher.ResponseData): Promise<Answer> {
  const text = await body.text();
  const header = headers["retry-after"];
  return {
    status,
    text,
    retryAfterMs: retryAfterMs(status, typeof header === "string" ? header : undefined, Date.now()),
  };
}

/** However long the list is, it may go on for as long as something comes. */
async function readListAnswer(
  { statusCode: status, body }: Dispatcher.ResponseData,
  onItem: OnItem,
  onChunk: () => void,
): Promise<Answer> {
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      onChunk();
      yield chunk;
    }
  }
  return { status, text: await decodeList(chunks(), onItem), retryAfterMs: undefined };
}

/** Its own overload protection says one to some seconds; nobody else may put us to sleep for long. */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Milliseconds to wait before the same request is sent again; undefined if this answer does not ask for that. 429 and
 * 503 with the header mean that the request was not looked at, whatever its method.
 *
 * @param header seconds, or an HTTP date, https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function retryAfterMs(status: number, header: string | undefined, now: number): number | undefined {
  if ((status !== 429 && status !== 503) || header === undefined) return undefined;
  const milliseconds = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(milliseconds) ? undefined : Math.min(Math.max(milliseconds, 0), MAX_RETRY_AFTER_MS);
}

/** Tells the errors of a callback from those of the connection. */
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

function callOf({ method, path }: KubeRequest): string {
  return `${method} ${path}`;
}

function parseObject(call: string, text: string): JsonObject {
  const value = parseJson(text);
  if (!isObject(value)) throw new KubeUnreachableError(`${call}: the answer is not a JSON object`);
  return value;
}

function unreachable(call: string, error: unknown): Error {
  if (error instanceof KubeApiError || error instanceof KubeNotSentError) return error;
  return new KubeUnreachableError(`${call}: ${reasonOf(error)}`, { cause: error });
}

/** Where a name has several addresses and none answers, the system's error has only a code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  if (error.message !== "") return error.message;
  return "code" in error ? String(error.code) : error.name;
}
