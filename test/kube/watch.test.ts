import { Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { KubeUnreachableError } from "../../src/kube/errors.ts";
import { Transport } from "../../src/kube/transport.ts";
import type { WatchEvent } from "../../src/kube/watch-decoder.ts";
import { RequestRate } from "../../src/kube/request-rate.ts";
import { eventLine, refuse, startFakeApiServer, type FakeApiServer, type Script } from "./fake-api-server.ts";

let server: FakeApiServer;
let client: Transport;
afterEach(async () => {
  client.close();
  await server.stop();
});

const onRequest = vi.fn();

async function start(script: Script, timeoutMs = 5_000): Promise<void> {
  onRequest.mockReset();
  server = await startFakeApiServer(script);
  const rate = new RequestRate({ limit: { perSecond: 1, burst: 1 }, concurrency: 1 });
  client = new Transport({ connection: server.connection, rate, timeoutMs, onRequest });
}

async function watch(
  onEvent: (event: WatchEvent) => void = () => undefined,
  signal = new AbortController().signal,
): Promise<void> {
  await client.watch({ path: "/api/v1/secrets", query: { watch: "true" } }, onEvent, signal);
}

describe("a watch", () => {
  it("hands on events that come in any pieces, and ends with the stream", async () => {
    const names = ["a", "ä".repeat(10), "c\u2028d"];
    const bytes = Buffer.from(names.map((name) => eventLine("ADDED", { name })).join(""));
    await start((_, response) => {
      const sendNext = (at: number): void => {
        response.write(bytes.subarray(at, at + 7));
        if (at < bytes.length) setTimeout(sendNext, 1, at + 7);
        else response.end();
      };
      sendNext(0);
    });
    const events: WatchEvent[] = [];
    await watch((event) => events.push(event));
    expect(events).toEqual(names.map((name) => ({ type: "ADDED", object: { name } })));
  });

  it("hands on an event as soon as its line is there", async () => {
    await start((_, response) => {
      response.write(eventLine("ADDED", { name: "a" }));
    });
    const control = new AbortController();
    const first = new Promise<WatchEvent>((resolve) => void watch(resolve, control.signal));
    expect(await first).toEqual({ type: "ADDED", object: { name: "a" } });
    control.abort();
  });

  it("has no time limit once its head is there", async () => {
    await start((_, response) => {
      response.write("\n");
      setTimeout(() => response.end(eventLine("ADDED", {})), 600);
    }, 200);
    const onEvent = vi.fn();
    await watch(onEvent);
    expect(onEvent).toHaveBeenCalledOnce();
    expect(onRequest.mock.calls).toMatchObject([[{ method: "WATCH", status: 200, priority: undefined }]]);
  });

  it("is given up if its head does not come", async () => {
    await start(() => undefined, 200);
    await expect(watch()).rejects.toThrow(/^WATCH \/api\/v1\/secrets: no whole answer within 0.2 s/);
    expect(onRequest.mock.calls).toMatchObject([[{ method: "WATCH", status: undefined }]]);
  });

  it("that is aborted ends without an error, and its connection with it", async () => {
    await start((_, response) => {
      response.write(eventLine("ADDED", {}));
    });
    const control = new AbortController();
    await watch(() => {
      control.abort();
    }, control.signal);
    await vi.waitFor(() => {
      expect(server.connections()).toBe(0);
    });
    await watch(undefined, control.signal);
    expect(server.seen).toHaveLength(1);
  });

  it("that breaks off fails after the events that were whole", async () => {
    await start((_, response) => {
      response.write(`${eventLine("ADDED", {})}{"type":"ADD`);
      setTimeout(() => response.destroy(), 50);
    });
    const onEvent = vi.fn();
    await expect(watch(onEvent)).rejects.toBeInstanceOf(KubeUnreachableError);
    expect(onEvent).toHaveBeenCalledOnce();
  });

  it.each([
    ["no JSON", "made-up-secret\n"],
    ["no event", '{"data":"made-up-secret"}\n'],
  ])("fails at a line that is %s, without quoting it", async (_, line) => {
    await start((_seen, response) => response.end(line));
    const error: unknown = await watch().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: "WATCH /api/v1/secrets: a line of a watch is not an event" });
  });

  it("fails at a line without end", async () => {
    await start((_, response) => {
      const flood = (): void => {
        while (!response.destroyed && response.write("x".repeat(1 << 20)));
        response.once("drain", flood);
      };
      flood();
    });
    await expect(watch()).rejects.toThrow(/longer than/);
  });

  it("that is refused fails with what the API server said", async () => {
    await start((_, response) => {
      refuse(response, 410, "Expired");
    });
    await expect(watch()).rejects.toMatchObject({ status: 410, reason: "Expired" });
  });

  it("ends with the error of its listener, and closes the connection", async () => {
    await start((_, response) => {
      response.write(eventLine("ADDED", {}));
    });
    const failure = new RangeError("made up");
    await expect(
      watch(() => {
        throw failure;
      }),
    ).rejects.toBe(failure);
    await vi.waitFor(() => {
      expect(server.connections()).toBe(0);
    });
  });

  it("has a connection of its own, whose peer the system asks whether it lives", async () => {
    await start((_, response) => response.end());
    const setKeepAlive = vi.spyOn(Socket.prototype, "setKeepAlive");
    await watch();
    expect(setKeepAlive).toHaveBeenCalledWith(true, 10_000);
    setKeepAlive.mockRestore();
    await watch();
    expect(new Set(server.seen.map(({ socket }) => socket)).size).toBe(2);
  });
});
