/** Carries the console: its pages, its login, its routes, and the stream of changes. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from "express";
import { parseJson } from "../core/parse-json.ts";
import { getString } from "../core/kubernetes.ts";
import type { Console, Person } from "../console/console.ts";
import { ConsoleError, failureOf } from "../console/errors.ts";
import {
  hostCheck,
  readCookie,
  refusalOf,
  SECURITY_HEADERS,
  sessionCookie,
  sessionCookieName,
} from "../console/guard.ts";
import { consoleRoutes, type Route } from "../console/routes.ts";
import type { Session } from "../console/sessions.ts";
import { HttpError, respond } from "./respond.ts";

export interface Page {
  readonly contentType: string;
  readonly body: Buffer;
}

export interface ConsoleAppOptions {
  readonly server: Console;
  /** By path; that of "/" is the page itself. */
  readonly pages: ReadonlyMap<string, Page>;
  readonly isSecure: boolean;
  /** Names in the Host header besides those of this machine, without a port. */
  readonly allowedHosts: readonly string[];
  /** Called for what is nobody's fault but ours. */
  readonly onFault: (error: unknown) => void;
}

/** A `config.json` with a hundred registries is a tenth of it. */
const MAX_BODY_BYTES = 512 * 1024;
/** Pages that one person has in sight. Browsers open six connections to one host, and the pages need some for their questions. */
const MAX_STREAMS = 4;
/** Something between the browser and us may close what is quiet for a minute. */
const HEARTBEAT_MS = 20_000;
const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

export function consoleListener(options: ConsoleAppOptions): RequestListener {
  const { server, pages, onFault } = options;
  const cookies = new SessionCookies(server, options.isSecure);
  const app = express();
  // Otherwise /API/... would reach a route that the guard takes for a page.
  app.enable("case sensitive routing");
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", false);

  app.use(guard(options.allowedHosts));
  addLogin(app, server, cookies);
  app.get("/api/changes", (request, response) => {
    refuseParameters(request, []);
    stream(server, cookies.requireSession(request), response);
  });
  for (const route of consoleRoutes(server)) addRoute(app, route, server, cookies);
  app.use("/api", () => {
    throw new ConsoleError(404, "not-found", "there is nothing at this path");
  });
  app.get("/{*path}", (request, response) => {
    refuseParameters(request, []);
    const page = pages.get(request.path);
    if (page === undefined) throw new HttpError(404, "there is nothing at this path");
    response.setHeader("content-type", page.contentType);
    response.end(page.body);
  });
  app.use(() => {
    throw new HttpError(405, "pages are read with GET", { allow: "GET, HEAD" });
  });
  app.use(((error: unknown, _request, response, _next) => {
    answerFailure(response, error, onFault);
  }) satisfies ErrorRequestHandler);
  return app;
}

function guard(allowedHosts: readonly string[]): RequestHandler {
  const isOurHost = hostCheck(allowedHosts);
  return (request, response, next) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    // The path that routes match, also where the request line has a whole URL.
    const { method, path, headers } = request;
    const refusal = refusalOf({ method, path, headers }, isOurHost);
    if (refusal !== undefined) throw new HttpError(refusal.status, refusal.message);
    next();
  };
}

/** How to log in is all that needs no session. */
function addLogin(app: Express, server: Console, cookies: SessionCookies): void {
  app.get("/api/login", (request, response) => {
    refuseParameters(request, []);
    const { login, clusterName: cluster } = server.options;
    sendJson(response, 200, { login, cluster });
  });
  app.post("/api/login", async (request, response) => {
    refuseParameters(request, []);
    const body = await readJson(request);
    const session = await server.logIn(
      { key: getString(body, "key") ?? "", token: getString(body, "token") ?? "" },
      request.socket.remoteAddress ?? "",
    );
    // A login ends the session that the browser had, which somebody else may have started (session fixation).
    server.logOut(cookies.read(request));
    cookies.set(request, response, session.id);
    sendJson(response, 200, await server.describe(session));
  });
  app.post("/api/logout", async (request, response) => {
    await readJson(request);
    server.logOut(cookies.read(request));
    cookies.set(request, response, "");
    sendJson(response, 200, {});
  });
}

function addRoute(
  app: Express,
  { method, path, parameters = [], handle }: Route,
  server: Console,
  cookies: SessionCookies,
): void {
  const verb = method.toLowerCase() as Lowercase<Route["method"]>;
  app[verb](path, async (request: Request, response: Response) => {
    const query = refuseParameters(request, parameters);
    const session = cookies.requireSession(request);
    const name = typeof request.params["name"] === "string" ? request.params["name"] : "";
    if (path.includes(":name") && !NAME.test(name))
      throw new ConsoleError(400, "bad-request", "this is not the name of an object");
    const body = method === "GET" ? undefined : await readJson(request);
    try {
      sendJson(response, 200, await handle({ session, name, query, body }));
    } catch (error) {
      // The API server has forgotten the token, or it has expired: so has the session.
      if (failureOf(error).status === 401) server.logOut(session.id);
      throw error;
    }
  });
}

/** By which a browser says what its session is. */
class SessionCookies {
  readonly #server: Console;
  readonly #isSecure: boolean;

  constructor(server: Console, isSecure: boolean) {
    this.#server = server;
    this.#isSecure = isSecure;
  }

  /** The id of a session; empty if there is none. */
  read(request: IncomingMessage): string {
    return readCookie(request.headers.cookie, this.#nameFor(request));
  }

  /** An empty id takes the cookie away. */
  set(request: IncomingMessage, response: ServerResponse, id: string): void {
    const maxAge = id === "" ? 0 : this.#server.options.sessionMs / 1000;
    const cookie = sessionCookie(this.#nameFor(request), id, this.#isSecure, maxAge);
    response.setHeader("set-cookie", cookie);
  }

  /** @throws ConsoleError 401 */
  requireSession(request: IncomingMessage): Session<Person> {
    const session = this.#server.session(this.read(request));
    if (session === undefined) throw new ConsoleError(401, "no-session", "log in first");
    return session;
  }

  #nameFor(request: IncomingMessage): string {
    return sessionCookieName(this.#isSecure, request.socket.localPort ?? 0);
  }
}

const streams = new WeakMap<Person, number>();

/** Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
function stream(server: Console, session: Session<Person>, response: Response): void {
  const { person, ended } = session;
  const open = streams.get(person) ?? 0;
  if (open >= MAX_STREAMS) throw new ConsoleError(429, "too-many", "too many pages are open");
  streams.set(person, open + 1);
  const control = new AbortController();
  response.writeHead(200, { "content-type": "text/event-stream" });
  const heartbeat = setInterval(() => response.write(":\n\n"), HEARTBEAT_MS).unref();
  const end = (): void => {
    response.end("event: end\ndata: {}\n\n");
  };
  ended.addEventListener("abort", end);
  response.once("close", () => {
    clearInterval(heartbeat);
    ended.removeEventListener("abort", end);
    streams.set(person, (streams.get(person) ?? 1) - 1);
    control.abort();
  });
  const send = (changes: object): void => {
    // Whoever does not read gets none: the next one holds all that this one said.
    if (!response.writableNeedDrain) response.write(`data: ${JSON.stringify(changes)}\n\n`);
  };
  server.follow(session, send, control.signal);
}

/** Addresses are remembered and logged by browsers and proxies, so that none may carry a token by mistake. */
function refuseParameters(request: IncomingMessage, known: readonly string[]): URLSearchParams {
  const [, ...parts] = (request.url ?? "").split("?");
  const query = new URLSearchParams(parts.join("?"));
  for (const name of query.keys())
    if (!known.includes(name))
      throw new ConsoleError(400, "bad-request", "the address has a parameter that is not known");
  return query;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const tooLarge = new HttpError(413, "the body is too large");
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge;
    chunks.push(chunk);
  }
  const body = parseJson(Buffer.concat(chunks).toString("utf8"));
  if (body === undefined) throw new ConsoleError(400, "bad-request", "the body is not JSON");
  return body;
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}

function answerFailure(response: ServerResponse, error: unknown, onFault: (error: unknown) => void): void {
  const { status, failure } =
    error instanceof HttpError
      ? { status: error.status, failure: { code: "bad-request", message: error.message } }
      : failureOf(error);
  if (status === 500) onFault(error);
  if (response.headersSent || response.destroyed) return;
  const headers = error instanceof HttpError ? error.headers : {};
  // ASCII for `respond`, which also answers a request whose body is still coming in.
  const body = JSON.stringify(failure).replace(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  respond(response, status, { "content-type": "application/json; charset=utf-8", ...headers }, body);
}
