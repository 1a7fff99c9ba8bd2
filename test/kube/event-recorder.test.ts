import { describe, expect, it, vi } from "vitest";
import { KubeApiError, KubeUnreachableError } from "../../src/kube/errors.ts";
import { createEventRecorder } from "../../src/kube/event-recorder.ts";
import { fakeApis } from "./fake-transport.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import type { KubeRequest } from "../../src/kube/http-request.ts";
import type { ClusterWarning } from "../../src/replicator/ports.ts";

const MINUTE_MS = 60_000;

function recorder(request: (request: KubeRequest) => Promise<JsonObject> = () => Promise.resolve({})) {
  const clock = { ms: 0 };
  const written: KubeRequest[] = [];
  const logged: ClusterWarning[] = [];
  const failures: unknown[] = [];
  const warn = createEventRecorder({
    apisFor: fakeApis((call) => {
      written.push(call);
      return request(call);
    }),
    pod: { namespace: "pullpass", name: "pullpass-0", uid: "0a" },
    log: (warning) => logged.push(warning),
    onFailure: (error) => failures.push(error),
    monotonicMs: () => clock.ms,
  });
  return { warn, clock, written, logged, failures };
}
function foreign(name: string, uid = "7c1f"): ClusterWarning {
  const secret = { namespace: "team-a", name, uid };
  return { reason: "ForeignSecret", message: "a Secret of that name is not ours", secret };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("a warning", () => {
  it("is written as an Event about its Secret", async () => {
    const { warn, written } = recorder();
    warn(foreign("regcred"));
    await settled();
    expect(written).toEqual([
      {
        method: "POST",
        path: "/api/v1/namespaces/team-a/events",
        query: {},
        contentType: "application/json",
        body: {
          apiVersion: "v1",
          kind: "Event",
          metadata: {
            namespace: "team-a",
            name: expect.stringMatching(/^regcred\.[0-9a-f]{16}$/) as unknown,
          },
          involvedObject: {
            apiVersion: "v1",
            kind: "Secret",
            namespace: "team-a",
            name: "regcred",
            uid: "7c1f",
          },
          type: "Warning",
          reason: "ForeignSecret",
          message: "a Secret of that name is not ours",
          source: { component: "pullpass" },
          reportingComponent: "pullpass",
          firstTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/) as unknown,
          lastTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/) as unknown,
          count: 1,
        },
      },
    ]);
  });

  it("about a Namespace is written there, where its users may read it", async () => {
    const { warn, written } = recorder();
    warn({ reason: "InjectLabelHasNoEffect", message: "made up", namespace: "team-a" });
    await settled();
    expect(written).toMatchObject([
      {
        path: "/api/v1/namespaces/team-a/events",
        body: {
          metadata: { namespace: "team-a" },
          involvedObject: { apiVersion: "v1", kind: "Namespace", namespace: "team-a", name: "team-a" },
        },
      },
    ]);
  });

  it("about any other object is written in its namespace", async () => {
    const { warn, written } = recorder();
    const object = { apiVersion: "apps/v1", kind: "ReplicaSet", namespace: "team-a", name: "web", uid: "5d" };
    warn({ reason: "CannotPull", message: "made up", object });
    await settled();
    expect(written).toMatchObject([
      { path: "/api/v1/namespaces/team-a/events", body: { involvedObject: object } },
    ]);
  });

  it("about nothing else is about our own pod, and without one of those only logged", async () => {
    const warning = { reason: "SourceMissing", message: "there is no Secret registry-credentials" };
    const known = recorder();
    known.warn(warning);
    await settled();
    expect(known.written).toMatchObject([
      { path: "/api/v1/namespaces/pullpass/events", body: { involvedObject: { kind: "Pod", uid: "0a" } } },
    ]);
    const log = vi.fn();
    const request = vi.fn();
    const warn = createEventRecorder({ apisFor: fakeApis(request), log, onFailure: vi.fn() });
    warn(warning);
    warn(warning);
    expect(log.mock.calls).toEqual([[warning]]);
    expect(request).not.toHaveBeenCalled();
  });

  it("is written again after an hour, and at once where it is about another Secret", async () => {
    const { warn, clock, written, logged } = recorder();
    const minutes: number[] = [];
    for (let minute = 0; minute <= 121; minute++) {
      clock.ms = minute * MINUTE_MS;
      const before = written.length;
      warn(foreign("regcred"));
      await settled();
      if (written.length > before) minutes.push(minute);
      await settled();
    }
    expect(minutes).toEqual([0, 60, 120]);
    warn(foreign("regcred", "another uid"));
    warn(foreign("hub"));
    await settled();
    expect(written).toHaveLength(5);
    expect(logged).toHaveLength(5);
  });

  it("keeps within the bounds of the API server, whatever its texts", async () => {
    const { warn, written } = recorder();
    const name = `${"a".repeat(235)}.${"b".repeat(17)}`;
    warn({ ...foreign(name), message: "x".repeat(5_000) });
    await settled();
    const body = written[0]?.body as { metadata: { name: string }; message: string };
    expect(body.metadata.name).toMatch(/^a{235}\.[0-9a-f]{16}$/);
    expect(body.message).toHaveLength(1024);
  });

  it("that could not be written is written when it comes again", async () => {
    const fault = new KubeUnreachableError("the connection broke");
    const { warn, written, failures } = recorder(() => Promise.reject(fault));
    warn(foreign("regcred"));
    await settled();
    expect(failures).toEqual([fault]);
    warn(foreign("regcred"));
    await settled();
    expect(written).toHaveLength(2);
  });

  it("that the client sent twice, because the first answer was lost, counts as written", async () => {
    const { warn, written, failures } = recorder(() =>
      Promise.reject(new KubeApiError(409, "AlreadyExists", {}, "it exists")),
    );
    warn(foreign("regcred"));
    await settled();
    warn(foreign("regcred"));
    expect(failures).toEqual([]);
    await settled();
    expect(written).toHaveLength(1);
  });
});

describe("many warnings", () => {
  it("go out four at a time, in their order", async () => {
    const answers: (() => void)[] = [];
    const { warn, written } = recorder(
      () =>
        new Promise((resolve) => {
          answers.push(() => {
            resolve({});
          });
        }),
    );
    for (let i = 0; i < 10; i++) warn(foreign(`secret-${String(i)}`));
    await settled();
    expect(written).toHaveLength(4);
    answers.shift()?.();
    await settled();
    await settled();
    expect(written).toHaveLength(5);
    for (let i = 0; i < 9; i++) {
      answers.shift()?.();
      await settled();
    }
    const names = written.map(
      ({ body }) => (body as { involvedObject: { name: string } }).involvedObject.name,
    );
    expect(names).toEqual(Array.from({ length: 10 }, (_, i) => `secret-${String(i)}`));
  });

  it("are 60 in a minute, and those that were left out are written when they come again", async () => {
    const { warn, clock, written, failures } = recorder();
    const all = Array.from({ length: 100 }, (_, i) => foreign(`secret-${String(i)}`));
    all.forEach(warn);
    await settled();
    await settled();
    expect(written).toHaveLength(60);
    expect(failures).toHaveLength(40);
    expect(failures[0]).toMatchObject({ name: "EventDroppedError" });
    clock.ms = MINUTE_MS;
    all.forEach(warn);
    await settled();
    await settled();
    expect(written).toHaveLength(100);
  });

  it("do not pile up while nothing is answered", async () => {
    const { warn, clock, written, failures } = recorder(() => new Promise(() => undefined));
    for (let i = 0; i < 1_000; i++) {
      clock.ms = i * 1_000;
      warn(foreign(`secret-${String(i)}`));
    }
    // 4 are on their way and 60 wait.
    await settled();
    expect(written).toHaveLength(4);
    expect(failures).toHaveLength(1_000 - 64);
  });
});
