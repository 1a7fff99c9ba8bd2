/** Sends a request, and again where that mends it: after an expired token, or on a connection that was just closed. */
import http from "node:http";
import https from "node:https";
import type { KubeRequest } from "./client.ts";
import type { KubeAccess, KubeConnection } from "./connection.ts";
import { exchange, StaleConnectionError } from "./exchange.ts";

export interface Sender {
  /** The head of the answer, of whatever status. */
  send(request: KubeRequest, signal: AbortSignal): Promise<http.IncomingMessage>;
  /** The same on a connection that nothing else uses. */
  sendAlone(request: KubeRequest, signal: AbortSignal): Promise<http.IncomingMessage>;
  /** Connections that were kept are not used again. */
  dropIdle(): void;
  close(): void;
}

/** The API server closes idle connections after 90 s; ours go before, so that a request does not meet a closing one. */
const IDLE_TIMEOUT_MS = 60_000;
const MAX_IDLE_CONNECTIONS = 32;

const SERVER_SIDE_APPLY = "application/apply-patch+yaml";

export function createSender(connection: KubeConnection): Sender {
  const agentOptions = { keepAlive: true, timeout: IDLE_TIMEOUT_MS, maxFreeSockets: MAX_IDLE_CONNECTIONS };
  const isPlain = connection.server.protocol === "http:";
  const agent = isPlain ? new http.Agent(agentOptions) : new https.Agent(agentOptions);
  const dropIdle = (): void => {
    for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
  };

  async function sendBy(
    via: http.Agent | false,
    request: KubeRequest,
    signal: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const body = request.body === undefined ? "" : JSON.stringify(request.body);
    const sendWith = (access: KubeAccess): Promise<http.IncomingMessage> =>
      exchange({
        server: connection.server,
        access,
        method: request.method,
        path: request.path + queryOf(request),
        headers: {
          accept: request.accept ?? "application/json",
          "user-agent": "pullpass",
          ...(body !== "" && { "content-type": request.contentType ?? "application/json" }),
        },
        body,
        agent: via,
        signal,
      });
    const access = await connection.access();
    const answer = await sendWith(access).catch((error: unknown) => {
      if (!(error instanceof StaleConnectionError) || !isRepeatable(request)) throw error;
      // What closed one of them closed others: the API server went, or something between.
      dropIdle();
      return sendWith(access);
    });
    if (answer.statusCode !== 401) return answer;
    answer.resume();
    return sendWith(await connection.renewAccess());
  }

  return {
    send: (request, signal) => sendBy(agent, request, signal),
    sendAlone: (request, signal) => sendBy(false, request, signal),
    dropIdle,
    close() {
      agent.destroy();
    },
  };
}

/**
 * Whether it does not matter if it is done twice. The others are for their callers, who look at what is there and decide
 * again: a second POST would find the first one's object, a second PUT would be in conflict with the first.
 */
function isRepeatable({ method, contentType }: KubeRequest): boolean {
  return method === "GET" || (method === "PATCH" && contentType === SERVER_SIDE_APPLY);
}

function queryOf({ query = {} }: KubeRequest): string {
  const text = new URLSearchParams(query).toString();
  return text === "" ? "" : `?${text}`;
}
