import type { RequestListener } from "node:http";
import { Agent, request } from "node:https";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { DEFAULT_LIMITS, startServer, type RunningServer, type ServerLimits } from "../../src/http/server.ts";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";
import { postReview } from "../send-request.ts";

let server: RunningServer | undefined;
afterEach(async () => {
  await server?.close(0);
});

async function start(
  listener: RequestListener,
  limits: Partial<ServerLimits> = {},
): Promise<{ readonly ca: string; readonly url: string }> {
  const certificate = await makeSelfSignedCertificate(["localhost", "127.0.0.1"], new Date());
  server = await startServer(listener, {
    listen: { host: "127.0.0.1", port: 0 },
    certificate,
    limits: { ...DEFAULT_LIMITS, ...limits },
  });
  return { ca: certificate.certificate, url: server.url };
}

/** Answers with the request's body. */
const echo: RequestListener = (incoming, response) => {
  incoming.pipe(response);
};

describe("connections", () => {
  it("are kept for longer than the API server keeps them, and outlive the limit for a request's head", async () => {
    const { ca, url } = await start(echo, {
      keepAliveTimeoutMs: 60_000,
      headersTimeoutMs: 500,
      requestTimeoutMs: 1_000,
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
    const first = await postReview(url, ca, { body: "1", agent });
    await setTimeout(2_500);
    const second = await postReview(url, ca, { body: "2", agent });
    agent.destroy();
    expect([first.body, second.body]).toEqual(["1", "2"]);
    expect(second.headers["keep-alive"]).toBe("timeout=60");
  });

  it("speak HTTP/1.1 also to clients that offer HTTP/2", async () => {
    const { ca, url } = await start((incoming, response) => {
      response.end("alpnProtocol" in incoming.socket ? incoming.socket.alpnProtocol : "none");
    });
    const agent = new Agent({ ca, ALPNProtocols: ["h2", "http/1.1"] });
    expect((await postReview(url, ca, { agent })).body).toBe("http/1.1");
  });
});

describe("a server whose certificate comes later", () => {
  it("has its port already, lets no client in, and serves with the certificate from then on", async () => {
    const listen = { host: "127.0.0.1", port: 0 };
    server = await startServer(echo, { listen, certificate: "later" });
    const serving = await makeSelfSignedCertificate(["127.0.0.1"], new Date());
    const send = () => postReview(server?.url ?? "", serving.certificate, { body: "hello" });
    await expect(send()).rejects.toThrow(/handshake failure/);
    const port = Number(new URL(server.url).port);
    await expect(startServer(echo, { listen: { ...listen, port } })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${String(port)} (--listen): the port is in use`,
    );
    server.setCertificate(serving);
    expect((await send()).body).toBe("hello");
  });
});

describe("a connection too many", () => {
  const limits = { maxConnections: 3 };

  it("takes the place of the one that has sent nothing for longest", async () => {
    const { ca, url } = await start(echo, limits);
    const agents = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1, ca }));
    const ask = async (index: number): Promise<number | undefined> => {
      const answer = await postReview(url, ca, {
        body: "x",
        ...(agents[index] && { agent: agents[index] }),
      });
      return answer.localPort;
    };
    const ports = [await ask(0), await ask(1), await ask(2)];
    await setTimeout(2_500);
    expect([await ask(0), await ask(2)]).toEqual([ports[0], ports[2]]);
    await ask(3);
    expect([await ask(0), await ask(2)]).toEqual([ports[0], ports[2]]);
    expect(await ask(1)).not.toBe(ports[1]);
    for (const agent of agents) agent.destroy();
  });

  it("gets in, however many say nothing", async () => {
    const { ca, url } = await start(echo, limits);
    const { port } = new URL(url);
    const silent = Array.from({ length: 30 }, () => connect({ host: "127.0.0.1", port: Number(port) }));
    const closed = silent.map(
      (socket) => new Promise((resolve) => socket.on("error", () => undefined).on("close", resolve)),
    );
    await Promise.all(silent.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
    expect((await postReview(url, ca, { body: "here" })).body).toBe("here");
    await Promise.all(closed.slice(0, 27));
    for (const socket of silent) socket.destroy();
  });
});

describe("requests that do not wait for the answer to the one before", () => {
  it("end their connection, and nobody else's", async () => {
    let count = 0;
    const { ca, url } = await start((_incoming, response) => {
      count++;
      response.end("x".repeat(10_000));
    });
    const { port } = new URL(url);
    const socket = connectTls({ host: "127.0.0.1", port: Number(port), ca, servername: "localhost" });
    const closed = new Promise((resolve) => socket.on("error", () => undefined).on("close", resolve));
    socket.resume().write("GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2_000));
    await closed;
    expect(count).toBeLessThan(50);
    expect((await postReview(url, ca, {})).status).toBe(200);
  });
});

describe("the head of a request", () => {
  it("may have 8 KiB", async () => {
    const { ca, url } = await start(echo);
    const long = (bytes: number): Promise<{ readonly status: number }> =>
      postReview(url, ca, { headers: { authorization: "x".repeat(bytes) } });
    expect(await long(7_500)).toMatchObject({ status: 200 });
    expect(await long(8_200)).toMatchObject({ status: 431 });
  });

  it("is read up to its 64th header", async () => {
    const { ca, url } = await start((incoming, response) => {
      response.end(Object.keys(incoming.headers).length.toString());
    });
    const headers = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [`x-${index.toString()}`, ""]),
    );
    expect(Number((await postReview(url, ca, { headers })).body)).toBeLessThanOrEqual(64);
  });
});

describe("a certificate that is swapped", () => {
  it("is served to the next connection while requests are under way, none of which is dropped", async () => {
    const { ca, url } = await start(echo);
    const next = await makeSelfSignedCertificate(["localhost", "127.0.0.1"], new Date());
    const underWay = Array.from({ length: 20 }, (_, index) => slowRequest(url, ca, index.toString()));
    await Promise.all(underWay.map(({ isOpen }) => isOpen));

    server?.setCertificate(next);
    const answer = await postReview(url, next.certificate, { body: "new" });
    expect(answer.body).toBe("new");
    await expect(postReview(url, ca, { body: "old" })).rejects.toThrow(/certificate/);

    for (const { finish } of underWay) finish();
    expect(await Promise.all(underWay.map(({ text }) => text))).toEqual(
      underWay.map((_, index) => index.toString()),
    );
  });

  it("is left out if its key is another's", async () => {
    const { ca, url } = await start(echo);
    const [one, two] = await Promise.all(
      [1, 2].map(() => makeSelfSignedCertificate(["localhost"], new Date())),
    );
    expect(() =>
      server?.setCertificate({ certificate: one?.certificate ?? "", privateKey: two?.privateKey ?? "" }),
    ).toThrow();
    expect((await postReview(url, ca, { body: "as before" })).body).toBe("as before");
  });
});

describe("the end", () => {
  it("tells clients not to use their connections again while it drains", async () => {
    const { ca, url } = await start(echo);
    server?.startDraining();
    const answer = await postReview(url, ca, {
      body: "still here",
      agent: new Agent({ keepAlive: true, ca }),
    });
    expect(answer).toMatchObject({ status: 200, body: "still here", headers: { connection: "close" } });
  });

  it("waits for requests that are under way and takes no new ones", async () => {
    const { ca, url } = await start(echo);
    const slow = slowRequest(url, ca, "late");
    await slow.isOpen;
    const closed = server?.close(10_000);
    await expect(postReview(url, ca, { body: "too late" })).rejects.toThrow(/ECONNREFUSED/);
    slow.finish();
    expect(await slow.text).toBe("late");
    await closed;
  });

  it("cuts off those that do not end in time", async () => {
    const { ca, url } = await start(echo);
    const slow = slowRequest(url, ca, "never");
    await slow.isOpen;
    const cutOff = expect(slow.text).rejects.toThrow(/hang up|ECONNRESET/);
    await server?.close(100);
    await cutOff;
  });
});

interface SlowRequest {
  /** The server has the head and waits for the body. */
  readonly isOpen: Promise<void>;
  readonly text: Promise<string>;
  readonly finish: () => void;
}

function slowRequest(url: string, ca: string, body: string): SlowRequest {
  const outgoing = request(url, {
    method: "POST",
    ca,
    headers: { expect: "100-continue", "transfer-encoding": "chunked" },
  });
  const isOpen = new Promise<void>((resolve) => outgoing.once("continue", resolve));
  const text = new Promise<string>((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      let received = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (chunk: string) => (received += chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        resolve(received);
      });
    });
  });
  outgoing.flushHeaders();
  return { isOpen, text, finish: () => void outgoing.end(body) };
}
