/** Requests to the API server: what all of kube/ goes through. */
import type { JsonObject } from "../core/kubernetes.ts";
import type { Lane } from "../replicator/ports.ts";

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** From `/api` or `/apis` on. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default: `application/json`. */
  readonly contentType?: string;
  /** Default: `application/json`. */
  readonly accept?: string;
  /** What the client's rate counts; a request without a lane does not wait for it (the lease, watches, events). */
  readonly lane?: Lane;
  /** Asked each time when the request is about to be sent, after it has waited for its turn. False: it is not sent. */
  readonly mayBeSent?: () => boolean;
}

export interface KubeWatchRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly accept?: string;
}

/** An event of a watch: `{type, object}`. */
export interface WatchEvent {
  readonly type: string;
  readonly object: JsonObject;
}

export interface KubeClient {
  /**
   * The answer's object.
   *
   * @throws KubeApiError for a status of 400 and above, KubeUnreachableError if there was no answer, KubeNotSentError.
   */
  request(request: KubeRequest): Promise<JsonObject>;
  /**
   * The same for a list, whose items it hands on one after the other and leaves out of what it returns, so that no more
   * than one of them is in memory.
   *
   * @throws the same, and whatever `onItem` throws. Some items were handed on by then.
   */
  list(request: KubeRequest, onItem: (item: JsonObject) => void): Promise<JsonObject>;
  /**
   * Hands on one event after the other until the stream ends, which resolves; aborting `signal` ends it, too. `onOpen` is
   * called once the API server has taken the watch.
   *
   * @throws KubeApiError, KubeUnreachableError
   */
  watch(
    request: KubeWatchRequest,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
    onOpen?: () => void,
  ): Promise<void>;
  /**
   * Gives up all connections, and what is under way over them: somebody found the API server hard to reach, and a dead
   * peer is on the other end of all of them. Requests fail with KubeUnreachableError, watches too; both may be repeated.
   */
  reconnect(): void;
  close(): void;
}

/** The API server said no. */
export class KubeApiError extends Error {
  override readonly name = "KubeApiError";

  /** The HTTP status. */
  readonly status: number;
  /** The reason in the answer's Status, such as `AlreadyExists`; empty if there is none. */
  readonly reason: string;
  /** The answer's Status, without what may quote a Secret; empty members where there was no Status. */
  readonly body: JsonObject;

  constructor(status: number, reason: string, body: JsonObject, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.body = body;
  }
}

/** There was no answer: the connection failed, broke off or took too long. */
export class KubeUnreachableError extends Error {
  override readonly name = "KubeUnreachableError";
}

/** `mayBeSent` said no. The API server knows nothing of the request. */
export class KubeNotSentError extends Error {
  override readonly name = "KubeNotSentError";
}
