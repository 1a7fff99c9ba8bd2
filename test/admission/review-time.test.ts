import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { ReviewHandler } from "../../src/admission/ports.ts";
import { anyHostileReview, hostileReview, listFlood, textFlood, type HostileReview } from "./hostile-pods.ts";
import { readReview } from "./read-review.ts";
import { answer, handlerOver, REGISTRIES } from "./registries-and-handler.ts";

/** The most that a review may take, in times of what JSON.parse takes for its body. */
const MAX_TIMES_PARSING = 20;
/** The most that twice the pod may take, in times of what the pod took. What is mostly parsing grows as that does. */
const MAX_GROWTH = 3;
/** Large enough that what a review takes at least (some tenths of a millisecond with 1,000 registries) is little of it. */
const BODY_BYTES = 192 * 1024;

/** Processor time in microseconds, which other processes do not add to as they do to time on the clock. */
function processorTime(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** Each in microseconds. */
interface Run {
  readonly parsing: number;
  readonly review: number;
  /** For a pod twice as large. */
  readonly twice: number;
}

function measure(handle: ReviewHandler, review: HostileReview, salt: number): Run {
  const body = review(BODY_BYTES, salt);
  const twice = review(2 * BODY_BYTES, salt + 500_000);
  return {
    parsing: processorTime(() => JSON.parse(body)),
    review: processorTime(() => answer(handle, body)),
    twice: processorTime(() => answer(handle, twice)),
  };
}

type Part = (run: Run) => number;

/**
 * Of the least of each, or the median of what the runs say, whichever is less. What the engine does besides (it compiles, it
 * collects garbage) only adds to single runs; a virtual machine can be half as fast for a while, which the parts of one run share.
 */
function ratioOf(runs: readonly Run[], part: Part, other: Part): number {
  const least = (of: Part) => Math.min(...runs.map(of));
  const ratios = runs.map((run) => part(run) / other(run)).toSorted((one, two) => one - two);
  return Math.min(least(part) / least(other), ratios[Math.floor(ratios.length / 2)] ?? Infinity);
}

/** What is too much, in words; undefined if nothing is. Measures again before it says so. */
function excessOf(handle: ReviewHandler, review: HostileReview): string | undefined {
  const runs: Run[] = [];
  const timesParsing = () =>
    ratioOf(
      runs,
      (run) => run.review,
      ({ parsing }) => parsing,
    );
  const growth = () =>
    ratioOf(
      runs,
      ({ twice }) => twice,
      (run) => Math.max(run.review, 2 * run.parsing),
    );
  for (const count of [2, 6, 14, 30]) {
    // Other numbers, so that no image is remembered from the run before.
    while (runs.length < count) runs.push(measure(handle, review, (runs.length + 1) * 1_000_000));
    if (timesParsing() <= MAX_TIMES_PARSING && growth() <= MAX_GROWTH) return undefined;
  }
  return `${timesParsing().toFixed(1)} times JSON.parse; a pod twice as large ${growth().toFixed(1)} times that`;
}

describe.each(REGISTRIES)("with %s", (_title, registries) => {
  const handle = handlerOver(registries);

  beforeAll(() => {
    // Until the engine has compiled what a review needs.
    const pods = fc.sample(anyHostileReview, { numRuns: 100, seed: 1 });
    for (const [, review] of pods) for (let salt = 0; salt < 20; salt++) answer(handle, review(2048, salt));
    const recorded = readReview("01-create-bare-pod-kubectl-apply");
    for (let count = 0; count < 2000; count++) answer(handle, recorded);
  });

  it.each([
    ["1,200 containers of docker and more", "nginx", listFlood("containers", { image: "docker" })],
    ["a variable of slashes", "gcr.io/kaniko-project/executor", textFlood("dockerConfig", "/")],
    ["a list of commas", "nginx", textFlood("registries", ",")],
    ["100,000 names of registries", "nginx", textFlood("registries", "a#,")],
    ["an annotation of ours with 100,000 names", "nginx", textFlood("injected", "a#,")],
    ["a host of 100,000 characters", "nginx", textFlood("host", "a")],
    ["many pull secrets", "nginx", listFlood("pullSecrets", { name: "a#" })],
    ["images of which each is another", "nginx", listFlood("containers", { image: "a.example.com/#" })],
    ["a script of short words", "docker", textFlood("script", "a ")],
    ["a script of flags", "docker", textFlood("script", "-t a#/b ")],
    [
      "flags of another builder",
      "gcr.io/kaniko-project/executor",
      listFlood("args", "-otype=image,name=a/#"),
    ],
    ["managed fields", "nginx", listFlood("managedFields", { manager: "a#" })],
  ])("%s take no more than the size of the pod allows", (_what, image, flood) => {
    expect(excessOf(handle, hostileReview(image, flood))).toBeUndefined();
  });

  it("many builders beside many volumes take no more than the size of the pod allows", () => {
    const builders = listFlood("containers", { image: "gcr.io/kaniko-project/executor", args: ["-d=a/#"] });
    const volumes = listFlood("volumes", { name: "a#", secret: { secretName: "b#" } });
    expect(excessOf(handle, hostileReview("docker", builders, volumes))).toBeUndefined();
  });

  it("no review takes more than 20 times the parsing of its body, nor one of twice the size more than 3 times as long", () => {
    fc.assert(
      fc.property(anyHostileReview, ([title, review]) => {
        expect(excessOf(handle, review), title).toBeUndefined();
      }),
      // Shrinking would measure hundreds of pods; the title says what is in the one that was found.
      {
        numRuns: Number(process.env["HOSTILE_PODS"] ?? 60),
        endOnFailure: true,
        // On a busy machine fewer pods are tried.
        interruptAfterTimeLimit: 60_000,
      },
    );
  }, 120_000);
});
