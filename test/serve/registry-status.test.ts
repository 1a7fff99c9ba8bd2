import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JoinedRegistries } from "../../src/config/registry-objects.ts";
import { joinRegistryObjects } from "../../src/config/registry-objects.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import type { CopyCounts, RegistryStatus } from "../../src/core/registry-status.ts";
import type { ApisFor } from "../../src/kube/api.ts";
import { KubeApiError } from "../../src/kube/errors.ts";
import { readClusterRegistry, type ClusterRegistry } from "../../src/kube/resources/cluster-registries.ts";
import type { SourceFault } from "../../src/serve/fault-report.ts";
import type { LogIn } from "../../src/serve/registry-login.ts";
import { RegistryStatusWriter } from "../../src/serve/registry-status.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-26T12:00:00Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

const ALL: CopyCounts = { selected: 10_000, synced: 10_000, refused: 0, failing: 0 };

/** Twenty objects, whose copies fare as `counts` says, and what was written of each. */
function start({
  names = ["a"],
  annotations = {},
}: { names?: readonly string[]; annotations?: object } = {}) {
  let version = 0;
  const stored = new Map<string, JsonObject>();
  const put = (name: string, more: object = {}): void => {
    const metadata = {
      ...{ name, uid: `uid-${name}`, generation: 1, creationTimestamp: "2026-11-26T11:00:00Z", annotations },
      resourceVersion: String(++version),
    };
    const spec = { address: `${name}.example.com`, auth: { type: "BasicAuth", secretRef: { name: "s" } } };
    stored.set(name, { metadata, spec, ...more });
  };
  for (const name of names) put(name);
  const list = (): readonly ClusterRegistry[] => [...stored.values()].map(readClusterRegistry);
  const state = {
    counts: ALL,
    writes: [] as string[],
    failure: undefined as Error | undefined,
    faults: [] as readonly SourceFault[],
    /** The labels of the Secret that the registries name. */
    secret: undefined as Readonly<Record<string, string>> | undefined,
  };
  const core = {
    readNamespacedSecret: vi.fn(() => {
      const missing = new KubeApiError(404, "NotFound", {}, "no such Secret");
      return state.secret === undefined
        ? Promise.reject(missing)
        : Promise.resolve({ metadata: { labels: state.secret } });
    }),
  };
  const customObjects = {
    patchClusterCustomObjectStatus({ name, body }: { name: string; body: readonly { value: unknown }[] }) {
      if (state.failure !== undefined) return Promise.reject(state.failure);
      state.writes.push(name);
      put(name, { status: body[1]?.value });
      return Promise.resolve(stored.get(name));
    },
  };
  // As when they are watched: joined when one of them changes.
  const read = (): JoinedRegistries =>
    joinRegistryObjects({ registries: [], providers: [], isFromFiles: true }, list());
  let last = { version, joined: read() };
  const joined = (): JoinedRegistries => {
    if (last.version !== version) last = { version, joined: read() };
    return last.joined;
  };
  const login = vi.fn<LogIn>((_registry, image) =>
    Promise.resolve({
      ...{ reason: "Succeeded", message: "the login works" },
      pull: image === undefined ? undefined : { reason: "ImageNotFound", message: `no ${image}` },
    }),
  );
  const leading = new AbortController();
  const logger = { warn: vi.fn() };
  const writer = new RegistryStatusWriter({
    apisFor: (() => ({ customObjects, core })) as unknown as ApisFor,
    objects: { list, put: () => undefined, missingFields: [], offeredSecret: () => "missing" },
    joined,
    faults: () => state.faults,
    sources: () => [],
    provided: {
      stateOf: () => {
        throw new Error("no providers");
      },
    },
    countCopies: () => Promise.resolve(new Map(joined().registries.map(({ name }) => [name, state.counts]))),
    login,
    logger: logger as never,
  });
  writer.start(leading.signal);
  const statusOf = (name: string) => stored.get(name)?.["status"];
  return { writer, state, core, login, leading, logger, statusOf, put };
}

describe("the status of ClusterRegistries", () => {
  it("is written once, and not again for the same", async () => {
    const { writer, state } = start({ names: ["a", "b"] });
    await vi.advanceTimersByTimeAsync(1000);
    expect(state.writes).toEqual(["a", "b"]);
    for (let second = 0; second < 60; second++) {
      writer.schedule();
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(state.writes).toHaveLength(2);
  });

  it("makes no storm while 10,000 namespaces are filled in five minutes", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `r${index.toString()}`);
    const { writer, state, statusOf } = start({ names });
    for (let synced = 0; synced <= 10_000; synced += 10) {
      state.counts = { ...ALL, synced };
      writer.schedule();
      await vi.advanceTimersByTimeAsync(300);
    }
    await vi.advanceTimersByTimeAsync(1000);
    // The first and the last, and one each half minute.
    expect(state.writes.length).toBeLessThanOrEqual(20 * (2 + 10));
    expect(statusOf("r19")).toMatchObject({ namespaces: { selected: 10_000, synced: 10_000 } });
  });

  it("is written at once where a condition changes", async () => {
    const { writer, state, statusOf } = start();
    await vi.advanceTimersByTimeAsync(300);
    state.counts = { ...ALL, synced: 9999, refused: 1 };
    writer.schedule();
    await vi.advanceTimersByTimeAsync(300);
    expect(state.writes).toHaveLength(2);
    expect(statusOf("a")).toMatchObject({ namespaces: { refused: 1 } });
  });

  it("is tried again after a failure", async () => {
    const { state, logger } = start();
    state.failure = new Error("no answer");
    await vi.advanceTimersByTimeAsync(300);
    expect(logger.warn).toHaveBeenCalledOnce();
    state.failure = undefined;
    await vi.advanceTimersByTimeAsync(6000);
    expect(state.writes).toEqual(["a"]);
  });

  it("is left to the next leader", async () => {
    const { leading, state } = start();
    leading.abort();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(state.writes).toEqual([]);
  });
});

describe("a Secret that is not offered", () => {
  const MISSING: SourceFault = {
    ...{ registry: "a", reason: "SecretNotFound", message: "nobody reads this" },
    secret: { namespace: "pullpass", name: "s" },
  };
  const startMissing = async () => {
    const started = start();
    const { state, writer, statusOf } = started;
    /** A moment after the watch reported it. */
    const after = async (faults: readonly SourceFault[]) => {
      state.faults = faults;
      writer.schedule();
      await vi.advanceTimersByTimeAsync(300);
      const { conditions } = statusOf("a") as RegistryStatus;
      return conditions.find(({ type }) => type === "CredentialsAvailable")?.reason;
    };
    return { ...started, after, reason: await after([MISSING]) };
  };

  it("is looked at every five seconds, which is when it is seen that it exists", async () => {
    const { state, writer, core, after, reason } = await startMissing();
    expect(reason).toBe("SecretNotFound");
    state.secret = {};
    for (let second = 0; second < 4; second++) {
      writer.schedule();
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(core.readNamespacedSecret).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(1000);
    expect(core.readNamespacedSecret).toHaveBeenCalledTimes(2);
    expect(await after([MISSING])).toBe("SecretNotOffered");
  });

  it("and has the label is one that the watch is about to show", async () => {
    const { state, after } = await startMissing();
    state.secret = { "pullpass.dev/registry-credentials": "true" };
    await vi.advanceTimersByTimeAsync(6000);
    expect(await after([MISSING])).toBe("SecretNotFound");
  });

  it("is looked at at once where the registry names another one", async () => {
    const { state, after } = await startMissing();
    state.secret = {};
    const other = { namespace: "pullpass", name: "other" };
    expect(await after([{ ...MISSING, secret: other }])).toBe("SecretNotOffered");
  });

  it("is looked at again at once where it was offered in between", async () => {
    const { state, after } = await startMissing();
    state.secret = {};
    await vi.advanceTimersByTimeAsync(6000);
    expect(await after([MISSING])).toBe("SecretNotOffered");
    expect(await after([])).not.toBe("SecretNotOffered");
    state.secret = undefined;
    expect(await after([MISSING])).toBe("SecretNotFound");
  });
});

describe("a login that somebody asks for", () => {
  const ask = (at: string) => ({ annotations: { "pullpass.dev/check-requested-at": at } });

  it("is tried once", async () => {
    const { writer, login, statusOf } = start(ask("2026-11-26T11:59:00Z"));
    await vi.advanceTimersByTimeAsync(1000);
    writer.schedule();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(login).toHaveBeenCalledOnce();
    expect(statusOf("a")).toMatchObject({ credentials: { lastLoginAt: "2026-11-26T12:00:00Z" } });
  });

  it("is tried with the image that was named, and says which request it answers", async () => {
    const requestedAt = "2026-11-26T11:59:00Z";
    const image = "a.example.com/app:v1";
    const { login, statusOf } = start({
      annotations: { ...ask(requestedAt).annotations, "pullpass.dev/check-image": image },
    });
    await vi.advanceTimersByTimeAsync(1000);
    expect(login).toHaveBeenCalledExactlyOnceWith("a", image);
    expect(statusOf("a")).toMatchObject({
      check: { requestedAt, image },
      conditions: expect.arrayContaining([
        expect.objectContaining({
          ...{ type: "PullSucceeded", status: "False", reason: "ImageNotFound" },
          message: "No a.example.com/app:v1.",
        }),
      ]) as unknown,
    });
  });

  it("is not tried again by the next leader", async () => {
    const first = start(ask("2026-11-26T12:00:00.300Z"));
    await vi.advanceTimersByTimeAsync(1000);
    const second = start(ask("2026-11-26T12:00:00.300Z"));
    second.put("a", { status: first.statusOf("a") });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(second.login).not.toHaveBeenCalled();
  });

  it("is not tried again by a leader that knows an older one, nor is that one's result shown", async () => {
    const options = ask("2026-11-26T11:59:00Z");
    const { writer, login, put, statusOf } = start(options);
    await vi.advanceTimersByTimeAsync(1000);
    const { conditions, ...status } = statusOf("a") as RegistryStatus;
    const check = { requestedAt: "2026-11-26T12:00:00.500Z" };
    const refused = conditions.map((condition) =>
      condition.type === "LoginSucceeded"
        ? { ...condition, ...{ status: "False", reason: "Unauthorized" } }
        : condition,
    );
    options.annotations["pullpass.dev/check-requested-at"] = check.requestedAt;
    put("a", { status: { ...status, conditions: refused, check } });
    writer.schedule();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(login).toHaveBeenCalledOnce();
    expect(statusOf("a")).toMatchObject({ check, conditions: refused });
  });

  it.each([
    ["what is not a time", ask("now")],
    ["what is a time only to JavaScript", ask("26 Nov 2026")],
    ["a day that is not", ask("2026-11-26T25:00:00Z")],
    [
      "an image that is too long",
      {
        annotations: {
          ...ask("2026-11-26T11:59:00Z").annotations,
          "pullpass.dev/check-image": "a".repeat(1025),
        },
      },
    ],
  ])("is not tried for %s", async (_, annotated) => {
    const { login, statusOf } = start(annotated);
    await vi.advanceTimersByTimeAsync(1000);
    expect(login).not.toHaveBeenCalled();
    expect(statusOf("a")).toMatchObject({
      conditions: expect.arrayContaining([
        expect.objectContaining({ type: "LoginSucceeded", status: "Unknown", reason: "NotAsked" }),
      ]) as unknown,
    });
  });

  it("waits ten seconds after the last one", async () => {
    const options = ask("2026-11-26T11:59:00Z");
    const { writer, login, put } = start(options);
    await vi.advanceTimersByTimeAsync(1000);
    options.annotations["pullpass.dev/check-requested-at"] = "2026-11-26T12:00:01Z";
    put("a");
    writer.schedule();
    await vi.advanceTimersByTimeAsync(5000);
    expect(login).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(6000);
    expect(login).toHaveBeenCalledTimes(2);
  });
});
