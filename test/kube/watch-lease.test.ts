import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KubeUnreachableError, type KubeClient, type WatchEvent } from "../../src/kube/client.ts";
import { watchLease } from "../../src/kube/watch-lease.ts";

const NAME = { namespace: "pullpass", name: "pullpass" };
type Watch = KubeClient["watch"];

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function leaseHeldBy(type: string, holderIdentity?: string): WatchEvent {
  return { type, object: { spec: { holderIdentity } } };
}
/** A stream that ends when it is told to, and not before. */
const silent: Watch = (_request, _onEvent, signal) =>
  new Promise((resolve) => {
    signal.addEventListener("abort", () => {
      resolve();
    });
  });

describe("the watch of a Lease", () => {
  it("asks for that one Lease, and tells who holds it", async () => {
    const watch = vi.fn<Watch>((_request, onEvent) => {
      onEvent(leaseHeldBy("ADDED", "one"));
      onEvent(leaseHeldBy("MODIFIED"));
      onEvent(leaseHeldBy("MODIFIED", ""));
      onEvent(leaseHeldBy("DELETED", "two"));
      onEvent({ type: "ERROR", object: { kind: "Status", code: 410 } });
      return Promise.resolve();
    });
    const holders: unknown[] = [];
    const closing = new AbortController();
    const ended = watchLease({ watch }, NAME, (holder) => holders.push(holder), closing.signal);
    closing.abort();
    await ended;
    expect(holders).toEqual(["one", undefined, undefined, undefined]);
    expect(watch.mock.calls[0]?.[0]).toEqual({
      path: "/apis/coordination.k8s.io/v1/namespaces/pullpass/leases",
      query: { watch: "true", fieldSelector: "metadata.name=pullpass", timeoutSeconds: "300" },
    });
  });

  it("ends a stream that died silently a little after the API server would have, and begins another", async () => {
    const watch = vi.fn(silent);
    const closing = new AbortController();
    const ended = watchLease({ watch }, NAME, () => undefined, closing.signal);
    await vi.advanceTimersByTimeAsync(309_999);
    expect(watch).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1_001);
    expect(watch).toHaveBeenCalledTimes(2);
    closing.abort();
    await ended;
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits longer after every failure, and does not fail itself", async () => {
    const times: number[] = [];
    const watch: Watch = () => {
      times.push(Date.now());
      return Promise.reject(new KubeUnreachableError("the connection broke"));
    };
    const closing = new AbortController();
    const ended = watchLease({ watch }, NAME, () => undefined, closing.signal);
    await vi.advanceTimersByTimeAsync(120_000);
    closing.abort();
    await ended;
    const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });
});
