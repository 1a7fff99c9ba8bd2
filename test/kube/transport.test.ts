import { Agent } from "undici";
import { afterEach, describe, expect, it, vi } from "vitest";
import { KubeApiError, KubeNotSentError, KubeUnreachableError } from "../../src/kube/errors.ts";
import type { KubeRequest } from "../../src/kube/http-request.ts";
import { Transport, type TransportOptions } from "../../src/kube/transport.ts";
import type { KubeAccess } from "../../src/kube/connection.ts";
import { RequestRate } from "../../src/kube/request-rate.ts";
import { answer, refuse, startFakeApiServer, type FakeApiServer, type Script } from "./fake-api-server.ts";

let server: FakeApiServer;
let client: Transport;
afterEach(async () => {
  client.close();
  await server.stop();
});

async function start(script: Script, options: Partial<TransportOptions> = {}): Promise<void> {
  server = await startFakeApiServer(script);
  client = new Transport({
    connection: server.connection,
    rate: new RequestRate({ limit: { perSecond: 1_000, burst: 1_000 }, concurrency: 10 }),
    ...options,
  });
}

/** undici takes a connection for free a moment after the answer has ended; a request that comes before that opens another. */
const isKept = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const rateOfOne = () => new RequestRate({ limit: { perSecond: 1, burst: 1 }, concurrency: 1 });

const PODS: KubeRequest = { method: "GET", path: "/api/v1/pods" };
const CREATE: KubeRequest = { method: "POST", path: "/api/v1/secrets", body: { data: { a: "made up" } } };

describe("a request", () => {
  it("carries the method, the query, the body as JSON and the credentials", async () => {
    await start((_, response) => {
      answer(response, { kind: "Secret" });
    });
    const body = { metadata: { name: "a" } };
    expect(
      await client.request({
        method: "PATCH",
        path: "/api/v1/namespaces/a/secrets/b",
        query: { fieldManager: "pullpass", force: "true" },
        contentType: "application/apply-patch+yaml",
        accept: "application/json;as=Table",
        body,
      }),
    ).toEqual({ kind: "Secret" });
    const [seen] = server.seen;
    expect(seen?.method).toBe("PATCH");
    expect(seen?.url.href).toBe(
      "https://fake/api/v1/namespaces/a/secrets/b?fieldManager=pullpass&force=true",
    );
    expect(JSON.parse(seen?.body ?? "")).toEqual(body);
    expect(seen?.headers).toMatchObject({
      "content-type": "application/apply-patch+yaml",
      accept: "application/json;as=Table",
      authorization: "Bearer made-up",
    });
  });

  it("uses the connection of the one before", async () => {
    await start((_, response) => {
      answer(response, {});
    });
    for (let index = 0; index < 5; index++) {
      await client.request(PODS);
      await isKept();
    }
    expect(new Set(server.seen.map(({ socket }) => socket)).size).toBe(1);
  });

  it("goes through the kubeconfig's proxy, also if the one before did not get that far", async () => {
    await start((_, response) => {
      answer(response, {});
    });
    const { tls, headers } = await server.connection.access();
    const proxied = vi
      .fn<NonNullable<KubeAccess["proxied"]>>(() => Promise.resolve(new Agent({ connect: tls })))
      .mockRejectedValueOnce(new Error("made to fail"));
    const access = () => Promise.resolve({ tls, headers, proxied });
    client = new Transport({ connection: { ...server.connection, access }, rate: rateOfOne() });
    await expect(client.request(PODS)).rejects.toThrow("made to fail");
    expect(await client.request(PODS)).toEqual({});
    expect(proxied).toHaveBeenCalledTimes(2);
  });

  it("of a server with a path goes below it", async () => {
    await start((_, response) => {
      answer(response, {});
    });
    const connection = { ...server.connection, server: new URL("/k8s/clusters/a/", server.url) };
    client = new Transport({
      connection,
      rate: rateOfOne(),
    });
    await client.request(PODS);
    expect(server.seen[0]?.url.pathname).toBe("/k8s/clusters/a/api/v1/pods");
  });

  it.each<[string, (ca: string) => KubeAccess["tls"]]>([
    ["a certificate that nobody signed", () => ({})],
    ["another name than the server's", (ca) => ({ ca, servername: "another.example.com" })],
  ])("is not sent to a server with %s", async (_, tlsOf) => {
    await start((_, response) => {
      answer(response, {});
    });
    const access = () => Promise.resolve({ tls: tlsOf(server.ca), headers: {} });
    client = new Transport({ connection: { ...server.connection, access }, rate: rateOfOne() });
    await expect(client.request(PODS)).rejects.toThrow(/GET \/api\/v1\/pods: .*certificate/i);
    expect(server.seen).toEqual([]);
  });

  it("that is not answered in time is given up, and so are the connections that were kept", async () => {
    await start(
      ({ url }, response) => {
        if (url.pathname !== "/silent") answer(response, {});
      },
      { timeoutMs: 200 },
    );
    await Promise.all([client.request(PODS), client.request(PODS)]);
    expect(server.connections()).toBe(2);
    await expect(client.request({ method: "GET", path: "/silent" })).rejects.toThrow(
      new KubeUnreachableError("GET /silent: no whole answer within 0.2 s"),
    );
    await vi.waitFor(() => {
      expect(server.connections()).toBe(0);
    });
  });

  it("is given up with its connection and the kept ones when somebody doubts them, and another one goes", async () => {
    await start(({ url }, response) => {
      if (url.pathname !== "/silent") answer(response, {});
    });
    await Promise.all([client.request(PODS), client.request(PODS)]);
    const silent = expect(client.request({ method: "GET", path: "/silent" })).rejects.toThrow(
      new KubeUnreachableError("GET /silent: it was aborted"),
    );
    await vi.waitFor(() => {
      expect(server.seen).toHaveLength(3);
    });
    client.reconnect();
    await silent;
    await vi.waitFor(() => {
      expect(server.connections()).toBe(0);
    });
    expect(await client.request(PODS)).toEqual({});
  });

  it("whose answer breaks off or stops has no answer", async () => {
    await start(
      ({ url }, response) => {
        response.writeHead(200, { "content-length": 100 });
        response.write('{"kind":');
        if (url.pathname === "/breaks-off") setTimeout(() => response.destroy(), 20);
      },
      { timeoutMs: 300 },
    );
    await expect(client.request({ method: "GET", path: "/breaks-off" })).rejects.toThrow(
      KubeUnreachableError,
    );
    await expect(client.request({ method: "GET", path: "/stops" })).rejects.toThrow(/no whole answer/);
  });

  it("whose answer is no JSON fails without quoting it", async () => {
    await start((_, response) => response.end("made-up-secret"));
    const error: unknown = await client.request(PODS).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KubeUnreachableError);
    expect(error).toMatchObject({ message: "GET /api/v1/pods: the answer is not a JSON object" });
    expect(error).not.toHaveProperty("cause");
  });

  it("that was not answered when the client is closed fails, as does every later one", async () => {
    await start(() => undefined);
    const under = expect(client.request(PODS)).rejects.toThrow(KubeUnreachableError);
    await vi.waitFor(() => {
      expect(server.seen).toHaveLength(1);
    });
    client.close();
    await under;
    await expect(client.request(PODS)).rejects.toThrow(KubeUnreachableError);
    await expect(client.request({ ...PODS, priority: "high" })).rejects.toThrow(KubeUnreachableError);
  });

  it("to nobody has no answer", async () => {
    await start(() => undefined);
    await server.stop();
    await expect(client.request(PODS)).rejects.toThrow(/^GET \/api\/v1\/pods: connect ECONNREFUSED/);
    server = await startFakeApiServer(() => undefined);
  });

  it("to nobody at a name with several addresses says so, too", async () => {
    await start(() => undefined);
    const port = server.url.port;
    await server.stop();
    const connection = { ...server.connection, server: new URL(`https://localhost:${port}`) };
    client = new Transport({ connection, rate: rateOfOne() });
    await expect(client.request(PODS)).rejects.toThrow(/ECONNREFUSED/);
    server = await startFakeApiServer(() => undefined);
  });
});

describe("a list", () => {
  const LIST: KubeRequest = { method: "GET", path: "/api/v1/secrets" };

  it("hands on its items as they come, and returns the rest", async () => {
    const items: unknown[] = [];
    await start((_, response) => {
      response.write('{"kind":"SecretList","metadata":{"resourceVersion":"7"},"items":[{"a":1},');
      // The second item comes only after the first was handed on.
      const timer = setInterval(() => {
        if (items.length === 0) return;
        clearInterval(timer);
        response.end('{"a":2}]}');
      }, 5);
    });
    expect(await client.list(LIST, (item) => items.push(item))).toEqual({
      kind: "SecretList",
      metadata: { resourceVersion: "7" },
      items: [],
    });
    expect(items).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it("may take as long as it takes, for as long as something comes", async () => {
    await start(
      ({ url }, response) => {
        let count = 0;
        response.write('{"items":[');
        const timer = setInterval(() => {
          if (++count < 10) response.write(`${count === 1 ? "" : ","}{}`);
          else if (url.pathname === "/ends") response.end("]}");
          else clearInterval(timer);
        }, 100);
        response.once("close", () => {
          clearInterval(timer);
        });
      },
      { timeoutMs: 500 },
    );
    const onItem = vi.fn();
    await client.list({ ...LIST, path: "/ends" }, onItem);
    expect(onItem).toHaveBeenCalledTimes(9);
    await expect(client.list({ ...LIST, path: "/stops" }, onItem)).rejects.toThrow(
      new KubeUnreachableError("GET /stops: no whole answer within 0.5 s"),
    );
  });

  it("fails as any request does, and with the error of whoever takes the items", async () => {
    const onThrottled = vi.fn();
    await start(
      ({ url }, response, index) => {
        if (url.pathname === "/refused") refuse(response, 410, "Expired");
        else if (url.pathname === "/html") response.end("<html>made-up-secret");
        else if (index === 0) refuse(response, 429, "TooManyRequests", { headers: { "retry-after": "0" } });
        else answer(response, { items: [{ a: 1 }] });
      },
      { onThrottled },
    );
    const onItem = vi.fn();
    await client.list(LIST, onItem);
    expect(onThrottled).toHaveBeenCalledOnce();
    expect(onItem.mock.calls).toEqual([[{ a: 1 }]]);
    await expect(client.list({ ...LIST, path: "/refused" }, onItem)).rejects.toMatchObject({ status: 410 });
    await expect(client.list({ ...LIST, path: "/html" }, onItem)).rejects.toThrow(
      new KubeUnreachableError("GET /html: the answer is not a JSON object"),
    );
    const failure = new RangeError("made up");
    await expect(
      client.list(LIST, () => {
        throw failure;
      }),
    ).rejects.toBe(failure);
  });
});

describe("a request that may not be sent any more", () => {
  it("is not sent when its turn comes, and takes nobody's place", async () => {
    let mayBeSent = true;
    let answerFirst: (() => void) | undefined;
    await start(
      (_, response, index) => {
        if (index > 0) answer(response, {});
        else answerFirst = () => response.end("{}");
      },
      { rate: new RequestRate({ limit: { perSecond: 1_000, burst: 1_000 }, concurrency: 2 }) },
    );
    // One of low priority goes, and the others wait for its answer.
    const first = client.request({ ...CREATE, priority: "low", mayBeSent: () => mayBeSent });
    const waiting = Array.from({ length: 20 }, () =>
      client.request({ ...CREATE, priority: "low", mayBeSent: () => mayBeSent }),
    );
    const others = client.request({ ...PODS, priority: "low" });
    await vi.waitFor(() => {
      expect(server.seen).toHaveLength(1);
    });
    mayBeSent = false;
    answerFirst?.();
    const results = await Promise.allSettled(waiting);
    expect(results).toEqual(
      results.map(() => ({ status: "rejected", reason: expect.any(KubeNotSentError) as unknown })),
    );
    await Promise.all([first, others]);
    expect(server.seen.map(({ method }) => method)).toEqual(["POST", "GET"]);
  });

  it("is not sent a second time after the API server asked to wait, and not without a priority either", async () => {
    let mayBeSent = true;
    await start((_, response) => {
      mayBeSent = false;
      refuse(response, 429, "TooManyRequests", { headers: { "retry-after": "0" } });
    });
    for (const priority of [undefined, "high"] as const) {
      mayBeSent = true;
      await expect(
        client.request({ ...CREATE, ...(priority && { priority }), mayBeSent: () => mayBeSent }),
      ).rejects.toThrow(KubeNotSentError);
    }
    expect(server.seen).toHaveLength(2);
  });
});

describe("a kept connection that the server resets when it is used again", () => {
  /** Answers the first request of every connection, and resets those that come with a second one. */
  const resetSecond: Script = ({ socket }, response) => {
    const uses = server.seen.filter((other) => other.socket === socket).length;
    if (uses > 1) socket.destroy();
    else answer(response, { uses });
  };

  it.each<[string, KubeRequest]>([
    ["GET", PODS],
    ["server-side apply", { ...CREATE, method: "PATCH", contentType: "application/apply-patch+yaml" }],
  ])("is replaced for %s", async (_, request) => {
    await start(resetSecond);
    await client.request(PODS);
    await isKept();
    expect(await client.request(request)).toEqual({ uses: 1 });
    expect(server.seen).toHaveLength(3);
  });

  it.each<[string, KubeRequest]>([
    ["POST", CREATE],
    ["PUT", { ...CREATE, method: "PUT" }],
    ["JSON patch", { ...CREATE, method: "PATCH", contentType: "application/json-patch+json" }],
    ["DELETE", { ...CREATE, method: "DELETE" }],
  ])("is the caller's matter for %s, which may have been done", async (_, request) => {
    await start(resetSecond);
    await client.request(PODS);
    await isKept();
    await expect(client.request(request)).rejects.toThrow(KubeUnreachableError);
    expect(server.seen).toHaveLength(2);
  });

  it("is an error if a new connection is reset, too", async () => {
    await start(({ socket }) => socket.destroy());
    await expect(client.request(PODS)).rejects.toThrow(KubeUnreachableError);
    expect(server.seen).toHaveLength(1);
  });
});

describe("a token that has expired", () => {
  const takes =
    (token: string): Script =>
    ({ headers }, response) => {
      if (headers.authorization === `Bearer ${token}`) answer(response, {});
      else refuse(response, 401, "Unauthorized");
    };
  const withTokens = (renewed: string): Partial<TransportOptions> => {
    const access = (token: string) =>
      Promise.resolve({ tls: { ca: server.ca }, headers: { authorization: `Bearer ${token}` } });
    return {
      connection: { ...server.connection, access: () => access("old"), renewAccess: () => access(renewed) },
    };
  };

  it("is read again, and the request sent once more, also that of a watch", async () => {
    await start(takes("new"));
    const rate = rateOfOne();
    client = new Transport({ connection: server.connection, rate, ...withTokens("new") });
    expect(await client.request(CREATE)).toEqual({});
    expect(server.seen.map(({ body }) => body)).toEqual([server.seen[1]?.body, JSON.stringify(CREATE.body)]);
    await client
      .watch({ path: "/api/v1/pods", query: {} }, () => undefined, new AbortController().signal)
      .catch(() => undefined);
    expect(server.seen).toHaveLength(4);
  });

  it("is an error if the new one is not taken either", async () => {
    await start(takes("another"));
    const rate = rateOfOne();
    client = new Transport({ connection: server.connection, rate, ...withTokens("new") });
    await expect(client.request(PODS)).rejects.toMatchObject({ status: 401, reason: "Unauthorized" });
    expect(server.seen).toHaveLength(2);
  });
});

describe("an API server that has too much to do", () => {
  it.each([429, 503])("is asked again after the time that a %i names", async (status) => {
    const onThrottled = vi.fn();
    const onRequest = vi.fn();
    await start(
      (_, response, index) => {
        if (index === 0) refuse(response, status, "TooManyRequests", { headers: { "retry-after": "1" } });
        else answer(response, { done: true });
      },
      { onThrottled, onRequest },
    );
    const startedAt = performance.now();
    expect(await client.request({ ...CREATE, priority: "low" })).toEqual({ done: true });
    expect(performance.now() - startedAt).toBeGreaterThan(990);
    expect(onThrottled.mock.calls).toEqual([[{ status, retryAfterSeconds: 1 }]]);
    expect(onRequest.mock.calls.map(([facts]) => facts as unknown)).toMatchObject([
      { method: "POST", status, priority: "low" },
      { method: "POST", status: 200, priority: "low" },
    ]);
  });

  it("is left alone by both queues meanwhile, but not by requests without one", async () => {
    const onThrottled = vi.fn();
    await start(
      (_, response, index) => {
        if (index === 0) refuse(response, 429, "TooManyRequests", { headers: { "retry-after": "1" } });
        else answer(response, {});
      },
      { onThrottled },
    );
    const first = client.request({ ...PODS, priority: "low" });
    await vi.waitFor(() => {
      expect(onThrottled).toHaveBeenCalledOnce();
    });
    const high = client.request({ ...PODS, path: "/high", priority: "high" });
    await client.request({ ...PODS, path: "/lease" });
    expect(server.seen.map(({ url }) => url.pathname)).toEqual(["/api/v1/pods", "/lease"]);
    await Promise.all([first, high]);
    expect(server.seen).toHaveLength(4);
  });

  it("is asked six times, and then its answer is the answer", async () => {
    await start((_, response) => {
      refuse(response, 429, "TooManyRequests", { headers: { "retry-after": "0" } });
    });
    await expect(client.request(PODS)).rejects.toMatchObject({ status: 429 });
    expect(server.seen).toHaveLength(6);
  });

  it("is not asked again if it does not say when", async () => {
    await start((_, response) => {
      refuse(response, 503, "ServiceUnavailable");
    });
    await expect(client.request(PODS)).rejects.toBeInstanceOf(KubeApiError);
    expect(server.seen).toHaveLength(1);
  });
});
