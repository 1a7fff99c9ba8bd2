/** One HTTP request to the API server: authenticated, over a kept connection, and again where that helps. */
import { isDeepStrictEqual } from "node:util";
import { Agent, type Dispatcher } from "undici";
import type { Priority } from "../replicator/ports.ts";
import type { KubeAccess, KubeConnection } from "./connection.ts";

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** From `/api` or `/apis` on. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
  /** Default: `application/json`. */
  readonly contentType?: string;
  /** Default: `application/json`. */
  readonly accept?: string;
  /** Its place in the client's rate; a request without a priority does not wait (the Lease, watches, Events). */
  readonly priority?: Priority;
  /** Asked just before the request is sent, after it has waited for its turn. False: it is not sent. */
  readonly mayBeSent?: () => boolean;
}

/** The API server closes idle connections after 90 s; ours close before, so that no request meets a closing one. */
const IDLE_TIMEOUT_MS = 60_000;
/** The kernel notices a dead peer after about 20 s: ten more probes follow, one a second. */
const TCP_KEEP_ALIVE_MS = 10_000;
const SERVER_SIDE_APPLY = "application/apply-patch+yaml";

export interface Sender {
  /** The head of the answer, of whatever status. @throws the system's or undici's error */
  send(request: KubeRequest, signal: AbortSignal, agent?: AgentSlot): Promise<Dispatcher.ResponseData>;
  /** For requests that share no connection with others. Disposed of when they are over. */
  openAgent(): AgentSlot;
  /** Later requests go over new connections; those in flight go on. */
  readonly replaceAgent: () => void;
  close(): void;
}

/** Sends a request, and again where that helps: after an expired token, or on a connection that was just closed. */
export function createSender(connection: KubeConnection): Sender {
  const prefix = connection.server.pathname.replace(/\/$/, "");
  const shared = createAgentSlot();
  let isClosed = false;

  const sendWith = async (
    access: KubeAccess,
    request: KubeRequest,
    signal: AbortSignal,
    agent: AgentSlot,
  ): Promise<Dispatcher.ResponseData> => {
    const { method, path, query = {}, body, contentType = "application/json" } = request;
    const dispatcher = await agent.dispatcherFor(access);
    if (isClosed) throw new Error("the client is closed");
    return dispatcher.request({
      origin: connection.server.origin,
      path: prefix + path + queryString(query),
      method,
      headers: {
        accept: request.accept ?? "application/json",
        "user-agent": "pullpass",
        ...(body !== undefined && { "content-type": contentType }),
        ...access.headers,
      },
      body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
      signal,
      // The deadlines are ours: a quiet watch may last.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  };

  return {
    async send(request, signal, agent = shared) {
      const access = await connection.access();
      signal.throwIfAborted();
      const response = await sendWith(access, request, signal, agent).catch((error: unknown) => {
        if (!isStaleConnection(error) || !isRepeatable(request)) throw error;
        // What closed one connection closed others: the API server went away, or something between.
        agent.replace();
        return sendWith(access, request, signal, agent);
      });
      if (response.statusCode !== 401) return response;
      await response.body.dump();
      return sendWith(await connection.renewAccess(), request, signal, agent);
    },
    openAgent: createAgentSlot,
    replaceAgent: shared.replace,
    close() {
      isClosed = true;
      shared.replace();
    },
  };
}

/** The agent that keeps connections, made when it is first needed, and again when how the server is reached has changed. */
interface AgentSlot extends Disposable {
  dispatcherFor(access: KubeAccess): Promise<Dispatcher>;
  /** Later requests go over new connections; those in flight go on. */
  readonly replace: () => void;
}

function createAgentSlot(): AgentSlot {
  let agent: { readonly access: KubeAccess; readonly dispatcher: Promise<Dispatcher> } | undefined;
  const replace = (): void => {
    // What is in flight on the old connections ends by itself, or is aborted.
    void agent?.dispatcher.then((dispatcher) => dispatcher.close()).catch(() => undefined);
    agent = undefined;
  };
  return {
    dispatcherFor(access) {
      if (agent !== undefined && hasSameTls(agent.access, access)) return agent.dispatcher;
      replace();
      const made = { access, dispatcher: access.proxied?.() ?? Promise.resolve(directAgent(access)) };
      agent = made;
      // The next request asks again: a credential plugin may fail once.
      made.dispatcher.catch(() => {
        if (agent === made) agent = undefined;
      });
      return made.dispatcher;
    },
    replace,
    [Symbol.dispose]: replace,
  };
}

function directAgent({ tls }: KubeAccess): Dispatcher {
  return new Agent({
    connect: { ...tls, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS },
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    keepAliveMaxTimeout: IDLE_TIMEOUT_MS,
    // One dead HTTP/2 connection would carry all requests and watches.
    allowH2: false,
  });
}

function hasSameTls(one: KubeAccess, other: KubeAccess): boolean {
  return one === other || isDeepStrictEqual(one.tls, other.tls);
}

/** The server closed a kept connection at the moment it was used. Nothing says whether the request was read. */
function isStaleConnection(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  if (error.code !== "UND_ERR_SOCKET" && error.code !== "ECONNRESET" && error.code !== "EPIPE") return false;
  const { socket } = error as { readonly socket?: { readonly bytesRead?: number } };
  // A new connection that is reset is not stale. undici tells how much it has read over it, and a reset does not.
  return socket === undefined || (socket.bytesRead ?? 0) > 0;
}

/**
 * Whether it does no harm to send it twice. The others are left to their callers, who read what is there and decide again:
 * a second POST would find the first one's object, a second PUT would conflict with the first.
 */
function isRepeatable({ method, contentType }: KubeRequest): boolean {
  return method === "GET" || (method === "PATCH" && contentType === SERVER_SIDE_APPLY);
}

function queryString(query: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(query).toString();
  return text === "" ? "" : `?${text}`;
}
