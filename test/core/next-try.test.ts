import { describe, expect, it } from "vitest";
import { failedPullsIn, failedPullsKey, nextTry } from "../../src/core/next-try.ts";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const ago = (seconds: number): number => NOW - seconds * 1_000;

describe("the next try of the kubelet", () => {
  it.each([
    ["invalid-image-name", undefined, "not before the image is corrected"],
    ["never-pulled", undefined, "none: the pull policy is Never"],
    ["unauthorized", undefined, "within five minutes"],
    ["unauthorized", { tries: 1, lastAt: ago(4) }, "about 2026-11-27T12:00:06Z"],
    ["unauthorized", { tries: 3, lastAt: ago(10) }, "about 2026-11-27T12:00:30Z"],
    // 10, 20, 40, 80, 160 and then always 300 s.
    ["no-cause", { tries: 6, lastAt: ago(0) }, "about 2026-11-27T12:05:00Z"],
    ["no-cause", { tries: 600, lastAt: ago(0) }, "about 2026-11-27T12:05:00Z"],
    ["network", { tries: 2, lastAt: ago(25) }, "any moment"],
    ["network", { tries: 2, lastAt: ago(109) }, "any moment"],
    ["network", { tries: 2, lastAt: ago(110) }, "within five minutes"],
    ["unknown", { tries: 1, lastAt: -Infinity }, "within five minutes"],
  ] as const)("after a failure %s, with failed pulls %j: %s", (failure, failed, words) => {
    const next = nextTry({ failure }, failed, NOW);
    expect(next.words).toBe(words);
    expect(next.at === undefined).toBe(!words.startsWith("about "));
  });
});

describe("the failed pulls in Events", () => {
  const IMAGE = "a.example.com/app:v1";
  const event = (message: string, count: unknown, lastTimestamp: unknown, uid: unknown = "u1") => ({
    involvedObject: { kind: "Pod", uid },
    ...{ message, count, lastTimestamp },
  });
  const failed = `Failed to pull image "${IMAGE}": unauthorized`;

  it("are added up by pod and image, whatever their wording", () => {
    const found = failedPullsIn([
      event(failed, 3, "2026-11-27T11:59:00Z"),
      event(`${failed} (request 7f3a)`, undefined, "2026-11-27T11:58:00Z"),
      event(`(combined from similar events): ${failed}`, 2, undefined),
      { ...event(failed, 0, undefined, "u2"), eventTime: "2026-11-27T11:57:00.123456Z" },
      event(failed, -1, "yesterday", "u3"),
      event("Error: ErrImagePull", 9, "2026-11-27T12:00:00Z"),
      event('Failed to pull image "', 9, "2026-11-27T12:00:00Z"),
      event(failed, 9, "2026-11-27T12:00:00Z", 7),
      { message: failed },
      {},
    ]);
    expect([...found]).toEqual([
      [failedPullsKey("u1", IMAGE), { tries: 6, lastAt: ago(60) }],
      [failedPullsKey("u2", IMAGE), { tries: 1, lastAt: ago(180) + 123 }],
      [failedPullsKey("u3", IMAGE), { tries: 1, lastAt: -Infinity }],
    ]);
  });
});
