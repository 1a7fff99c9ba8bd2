import { describe, expect, it } from "vitest";
import { controllerKey, controllerKeyOf, healEventsIn } from "../../src/core/heal-events.ts";

const at = (minute: number): string => `2026-11-27T11:${minute.toString().padStart(2, "0")}:00Z`;
const event = (reason: unknown, lastTimestamp: unknown, message: unknown = "Evicted pod web-1.") => ({
  involvedObject: { namespace: "shop", kind: "ReplicaSet", name: "web" },
  ...{ reason, lastTimestamp, message },
});
const NONE: ReadonlySet<string> = new Set();
const WEB = new Set([controllerKey("shop", "ReplicaSet/web")]);

describe("the Events about evictions", () => {
  it("are those of heal, the latest first, with a time and a message of bounded length", () => {
    const found = healEventsIn(
      [
        event("EvictedToPull", at(0)),
        event("EvictionDidNotHelp", at(1), "x".repeat(10_000)),
        event("CannotPull", at(2)),
        event("EvictedToPull", undefined),
        event(7, at(3)),
        { reason: "EvictedToPull", lastTimestamp: "2026-11-27T10:00:00Z" },
      ],
      NONE,
    );
    expect(found).toEqual([
      {
        ...{ namespace: "shop", controller: "ReplicaSet/web", reason: "EvictionDidNotHelp" },
        ...{ message: "x".repeat(400), at: Date.parse(at(1)) },
      },
      {
        ...{ namespace: "shop", controller: "ReplicaSet/web", reason: "EvictedToPull" },
        ...{ message: "Evicted pod web-1.", at: Date.parse(at(0)) },
      },
      {
        ...{ namespace: "", controller: "/", reason: "EvictedToPull", message: "" },
        at: Date.parse("2026-11-27T10:00:00Z"),
      },
    ]);
  });

  it.each<[string, ReadonlySet<string>, unknown[], string[]]>([
    ["while a pod of the controller is stuck", WEB, [event("LeftAlone", at(1))], ["LeftAlone"]],
    ["no longer once none is", NONE, [event("LeftAlone", at(1))], []],
    [
      "for the last reason alone",
      WEB,
      [event("LeftAlone", at(1), "a budget"), event("LeftAlone", at(2), "the webhook")],
      ["LeftAlone"],
    ],
    [
      "no longer once one was evicted",
      WEB,
      [event("LeftAlone", at(1)), event("EvictedToPull", at(2))],
      ["EvictedToPull"],
    ],
    [
      "again after an eviction",
      WEB,
      [event("LeftAlone", at(3)), event("EvictedToPull", at(2))],
      ["LeftAlone", "EvictedToPull"],
    ],
  ])("say that a pod is left alone %s", (_, stuck, events, reasons) => {
    expect(healEventsIn(events as ReturnType<typeof event>[], stuck).map(({ reason }) => reason)).toEqual(
      reasons,
    );
  });

  it("are about the controller of a pod, or about the pod itself", () => {
    const metadata = { namespace: "shop", name: "web-1" };
    const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "1", controller: true };
    const keys = [
      { metadata: { ...metadata, ownerReferences: [owner] }, spec: {} },
      { metadata, spec: {} },
      { metadata: {}, spec: {} },
    ].map((pod) => controllerKeyOf(pod as never));
    expect(keys).toEqual(["shop ReplicaSet/web", "shop Pod/web-1", " Pod/"]);
  });
});
