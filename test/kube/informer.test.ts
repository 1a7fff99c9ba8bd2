import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { InformerTimings } from "../../src/kube/informer.ts";
import type { Collection } from "../../src/kube/list.ts";
import { Transport } from "../../src/kube/transport.ts";
import { RequestRate } from "../../src/kube/request-rate.ts";
import {
  answer,
  eventLine,
  refuse,
  startFakeApiServer,
  type FakeApiServer,
  type Seen,
} from "./fake-api-server.ts";
import { recordInformer, type Recording } from "./record-informer.ts";

let server: FakeApiServer;
let client: Transport;
let recording: Recording;
afterEach(async () => {
  vi.restoreAllMocks();
  recording.informer.close();
  client.close();
  await server.stop();
});

/** What the fake says to the nth list or watch; the last of each is used for all that follow. */
interface Scripts {
  readonly lists: readonly ((response: ServerResponse, seen: Seen) => void)[];
  readonly watches: readonly ((response: ServerResponse, seen: Seen) => void)[];
}

async function start(
  { lists, watches }: Scripts,
  timings: Partial<InformerTimings> = {},
  collection: Partial<Collection> = {},
  factOf?: () => string,
): Promise<void> {
  const counts = { lists: 0, watches: 0 };
  server = await startFakeApiServer((seen, response) => {
    const isWatch = seen.url.searchParams.has("watch");
    const scripts = isWatch ? watches : lists;
    const index = isWatch ? counts.watches++ : counts.lists++;
    scripts[Math.min(index, scripts.length - 1)]?.(response, seen);
  });
  const rate = new RequestRate({ limit: { perSecond: 1, burst: 1 }, concurrency: 1 });
  client = new Transport({ connection: server.connection, rate });
  recording = recordInformer(client, {
    collection: { path: "/api/v1/secrets", ...collection },
    timings,
    ...(factOf && { factOf }),
  });
}

const named = (name: string, resourceVersion = "1"): object => ({ metadata: { name, resourceVersion } });
const page =
  (names: readonly string[], resourceVersion: string, more?: string) =>
  (response: ServerResponse): void => {
    const metadata = { resourceVersion, ...(more !== undefined && { continue: more }) };
    answer(response, { kind: "SecretList", metadata, items: names.map((name) => named(name)) });
  };
const expired = (response: ServerResponse): void => {
  refuse(response, 410, "Expired");
};
/** A watch that sends lines and stays open. */
const stream =
  (...lines: readonly string[]) =>
  (response: ServerResponse): void => {
    response.write(lines.length === 0 ? "\n" : lines.join(""));
  };
const ERROR_410 = eventLine("ERROR", { kind: "Status", code: 410, reason: "Expired" });

const until = (assertion: () => void): Promise<void> =>
  vi.waitFor(assertion, { timeout: 5_000, interval: 10 });
const queries = (key: string): readonly (string | null)[] =>
  server.seen.map(({ url }) => url.searchParams.get(key));
const watches = (): readonly Seen[] => server.seen.filter(({ url }) => url.searchParams.has("watch"));

describe("an informer", () => {
  it("lists in pages, passes all of them on, and watches from where the list was", async () => {
    await start(
      {
        lists: [page(["a", "b"], "7", "more"), page(["c"], "7")],
        watches: [stream(eventLine("ADDED", named("d", "8")), eventLine("DELETED", named("a", "9")))],
      },
      {},
      { query: { labelSelector: "a=b" } },
    );
    await until(() => {
      expect(recording.reported).toEqual(["list a,b,c", "change d", "remove a"]);
    });
    expect(queries("limit")).toEqual(["200", "200", null]);
    expect(queries("continue")).toEqual([null, "more", null]);
    expect(queries("labelSelector")).toEqual(["a=b", "a=b", "a=b"]);
    expect(queries("resourceVersion")).toEqual([null, null, "7"]);
    expect(queries("allowWatchBookmarks")).toEqual([null, null, "true"]);
    const timeout = Number(queries("timeoutSeconds")[2]);
    expect(timeout).toBeGreaterThanOrEqual(300);
    expect(timeout).toBeLessThanOrEqual(600);
    expect(recording.informer.isSynced).toBe(true);
    expect(Date.now() - recording.informer.lastActivityAt).toBeLessThan(5_000);
  });

  it("asks for metadata only where nothing else is wanted", async () => {
    await start({ lists: [page([], "1")], watches: [stream()] }, {}, { metadataOnly: true });
    await until(() => {
      expect(server.seen.map(({ headers }) => headers.accept)).toEqual([
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
      ]);
    });
  });

  it("is not synced before a list has worked, and says once a kind of fault why not", async () => {
    const forbid = (response: ServerResponse): void => {
      refuse(response, 403, "Forbidden");
    };
    const breakOff = (response: ServerResponse): void => {
      response.destroy();
    };
    await start({
      // One that breaks off on a kept connection is sent again at once.
      lists: [forbid, forbid, breakOff, breakOff, forbid, page(["a"], "1")],
      watches: [stream(eventLine("BOOKMARK", named("", "2")))],
    });
    expect(recording.informer.isSynced).toBe(false);
    await until(() => {
      expect(recording.faults).toEqual(["list KubeApiError", "list KubeUnreachableError", "recovery"]);
    });
    expect(recording.reported).toEqual(["list a"]);
  });

  it("starts a list over whose state the API server has forgotten half-way", async () => {
    await start({
      lists: [page(["a", "gone"], "1", "more"), expired, page(["a"], "5", "more"), page(["b"], "5")],
      watches: [stream()],
    });
    await until(() => {
      expect(watches()).toHaveLength(1);
    });
    expect(recording.reported).toEqual(["list a,b"]);
    expect(queries("continue")).toEqual([null, "more", null, "more", null]);
    expect(recording.faults).toEqual([]);
  });

  it("goes on after a clean end, from the last event or bookmark", async () => {
    await start({
      lists: [page([], "1")],
      watches: [
        (response) =>
          response.end(eventLine("ADDED", named("a", "4")) + eventLine("BOOKMARK", named("", "9"))),
        (response) => response.end(eventLine("ADDED", named("b", "12"))),
        stream(),
      ],
    });
    await until(() => {
      expect(watches().map(({ url }) => url.searchParams.get("resourceVersion"))).toEqual(["1", "9", "12"]);
    });
    expect(recording.reported).toEqual(["list ", "change a", "change b"]);
    expect(recording.restarts).toEqual(["closed", "closed"]);
  });

  it("does not start watches again and again that end at once", async () => {
    await start(
      { lists: [page([], "1")], watches: [(response) => response.end()] },
      { firstMs: 200, maxMs: 60_000 },
    );
    await sleep(1_500);
    expect(watches().length).toBeLessThan(12);
  });

  it("starts a watch again that says nothing, from where it was", async () => {
    await start(
      { lists: [page([], "1")], watches: [stream(eventLine("ADDED", named("a", "3"))), stream()] },
      { watchdogMs: 300 },
    );
    await until(() => {
      const versions = watches().map(({ url }) => url.searchParams.get("resourceVersion"));
      expect(versions.slice(0, 3)).toEqual(["1", "3", "3"]);
    });
    expect(new Set(recording.restarts)).toEqual(new Set(["watchdog"]));
    await until(() => {
      expect(server.connections()).toBeLessThanOrEqual(2);
    });
  });

  it("lets a watch go on that says something in time", async () => {
    await start(
      {
        lists: [page([], "1")],
        watches: [
          (response) => {
            let version = 1;
            const timer = setInterval(() => {
              response.write(eventLine("BOOKMARK", named("", (++version).toString())));
            }, 100);
            response.once("close", () => {
              clearInterval(timer);
            });
          },
        ],
      },
      { watchdogMs: 1_000 },
    );
    await sleep(2_500);
    expect(recording.restarts).toEqual([]);
    expect(watches()).toHaveLength(1);
  });

  it.each<[string, (response: ServerResponse) => void, string, readonly string[]]>([
    ["410 as its status", expired, "expired", []],
    ["410 as an event", stream(ERROR_410, eventLine("ADDED", named("late", "2"))), "expired", []],
    [
      "another ERROR event",
      stream(eventLine("ERROR", { kind: "Status", code: 500, reason: "InternalError" })),
      "error",
      ["watch KubeApiError"],
    ],
    [
      "a resource version from the future as its status",
      (response) => {
        refuse(response, 504, "Timeout");
      },
      "error",
      ["watch KubeApiError"],
    ],
  ])("lists again after a watch with %s", async (_, first, reason, faults) => {
    await start({ lists: [page(["a", "b"], "1"), page(["b", "c"], "9")], watches: [first, stream()] });
    await until(() => {
      expect(watches().map(({ url }) => url.searchParams.get("resourceVersion"))).toEqual(["1", "9"]);
    });
    expect(recording.reported).toEqual(["list a,b", "list b,c"]);
    expect([...recording.known.keys()]).toEqual(["b", "c"]);
    expect(recording.restarts).toEqual([reason]);
    expect(recording.faults).toEqual(faults);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    [
      "breaks off",
      (response) => {
        response.write(eventLine("ADDED", named("a", "5")), () => response.destroy());
      },
    ],
    [
      "is refused because there is too much to do",
      (response) => {
        refuse(response, 429, "TooManyRequests");
      },
    ],
  ])("does not list again after a watch that %s", async (_, first) => {
    await start({ lists: [page([], "5")], watches: [first, stream()] });
    await until(() => {
      expect(watches().map(({ url }) => url.searchParams.get("resourceVersion"))).toEqual(["5", "5"]);
    });
    expect(recording.restarts).toEqual(["error"]);
    expect(recording.reported.filter((line) => line.startsWith("list"))).toHaveLength(1);
  });

  it("does not wait for the API server that is back as long as for one that is away", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.999);
    const breakOff = (response: ServerResponse): void => {
      response.destroy();
    };
    let backAt = Infinity;
    await start(
      {
        lists: [page([], "1"), page(["a"], "2")],
        // After the last of them a seventh wait would take 64 * 20 ms.
        watches: [
          ...Array.from({ length: 6 }, () => breakOff),
          (response) => {
            backAt = performance.now();
            expired(response);
          },
          stream(),
        ],
      },
      { maxMs: 60_000 },
    );
    await until(() => {
      expect(recording.reported).toEqual(["list ", "list a"]);
    });
    expect(performance.now() - backAt).toBeLessThan(640);
  });

  it("waits as long as a refused watch asks", async () => {
    await start({
      lists: [page([], "5")],
      watches: [
        (response) => {
          refuse(response, 429, "TooManyRequests", { details: { retryAfterSeconds: 1 } });
        },
        stream(),
      ],
    });
    await until(() => {
      expect(recording.restarts).toEqual(["error"]);
    });
    const refusedAt = performance.now();
    await until(() => {
      expect(watches()).toHaveLength(2);
    });
    expect(performance.now() - refusedAt).toBeGreaterThan(950);
  });

  it("lists again from time to time, for what no watch reported", async () => {
    await start(
      {
        lists: [page(["a"], "1"), page(["b"], "2")],
        watches: [
          (response, { url }) => {
            // As the API server does, at the time that it is asked to.
            setTimeout(() => response.end(), Number(url.searchParams.get("timeoutSeconds")) * 1_000);
            response.write("\n");
          },
        ],
      },
      { relistIntervalMs: 500 },
    );
    await until(() => {
      expect(recording.reported).toEqual(["list a", "list b"]);
    });
    expect(watches()[0]?.url.searchParams.get("timeoutSeconds")).toBe("1");
    expect(recording.restarts).toEqual(["closed"]);
  });

  it("goes on watching while a list from time to time fails", async () => {
    await start(
      {
        lists: [
          page(["a"], "1"),
          (response) => {
            refuse(response, 500, "InternalError");
          },
        ],
        watches: [
          (response) => {
            setTimeout(() => response.end(), 1_050);
            response.write("\n");
          },
          stream(eventLine("ADDED", named("b", "2"))),
        ],
      },
      { relistIntervalMs: 500 },
    );
    await until(() => {
      expect(recording.reported).toEqual(["list a", "change b"]);
    });
    expect(recording.faults).toEqual(["list KubeApiError", "recovery"]);
  });

  it("outlives a handler that throws, and lists again", async () => {
    let calls = 0;
    await start(
      {
        lists: [page(["a"], "1")],
        watches: [stream(eventLine("ADDED", named("b", "2"))), stream()],
      },
      {},
      {},
      () => {
        if (++calls === 2) throw new RangeError("made up");
        return "";
      },
    );
    await until(() => {
      expect(recording.reported).toEqual(["list a", "list a"]);
    });
    expect(recording.faults).toEqual(["watch RangeError"]);
    expect(recording.restarts).toEqual(["error"]);
  });

  it("says nothing more once it is closed, and its connection ends", async () => {
    let lateEvent: (() => void) | undefined;
    await start({
      lists: [page(["a"], "1")],
      watches: [
        (response) => {
          response.write("\n");
          lateEvent = () => response.write(eventLine("ADDED", named("b", "2")));
        },
      ],
    });
    await until(() => {
      expect(watches()).toHaveLength(1);
    });
    recording.informer.close();
    lateEvent?.();
    await until(() => {
      expect(server.connections()).toBeLessThanOrEqual(1);
    });
    await sleep(200);
    expect(recording.reported).toEqual(["list a"]);
    expect(recording.restarts).toEqual([]);
    expect(server.seen).toHaveLength(2);
  });
});
