import { describe, expect, it } from "vitest";
import {
  NOTHING_OBSERVED,
  observe,
  planRenewal,
  RENEWAL_TIMING as TIMING,
  withDurations,
  type AuthorityInfo,
  type CertificateState,
  type ObservedState,
  type RenewalAction,
  type ServingInfo,
} from "../../src/tls/plan-renewal.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60_000;

const authority = (fingerprint: string, difference: Partial<AuthorityInfo> = {}): AuthorityInfo => ({
  fingerprint,
  notAfter: NOW + 300 * DAY_MS,
  hasKey: true,
  ...difference,
});
const serving = (difference: Partial<ServingInfo> = {}): ServingInfo => ({
  isIssuedByCurrent: true,
  isUsable: true,
  notAfter: NOW + 80 * DAY_MS,
  ...difference,
});
const OLD = authority("old");
const NEW = authority("new");
const DUE = { notAfter: NOW + 100 * DAY_MS };
const EXPIRED = { notAfter: NOW - 1 };
const LONG_AGO = new Map([
  ["old", DAY_MS],
  ["new", DAY_MS],
]);
const JUST_NOW = new Map([
  ["old", DAY_MS],
  ["new", 1000],
]);

/** Everything is as it should be, and has been for a long time. */
const STEADY: ObservedState = {
  current: OLD,
  next: undefined,
  previous: undefined,
  serving: serving(),
  bundles: [["old"]],
  publishedForMs: LONG_AGO,
  servedForMs: DAY_MS,
};
const NOTHING: ObservedState = {
  current: undefined,
  next: undefined,
  previous: undefined,
  serving: undefined,
  bundles: [[]],
  publishedForMs: new Map(),
  servedForMs: undefined,
};

const publish = (...fingerprints: string[]): RenewalAction => ({ kind: "publish", fingerprints });
const wait = (forMs: number): RenewalAction => ({ kind: "wait", forMs });
const MAKE: RenewalAction = { kind: "make-authority" };
const SWITCH: RenewalAction = { kind: "switch-authority" };
const RENEW: RenewalAction = { kind: "renew-serving" };
const FORGET: RenewalAction = { kind: "forget-previous" };
const HOUR_MS = 60 * 60_000;

describe("planRenewal", () => {
  it.each<[string, Partial<ObservedState>, RenewalAction]>([
    // webhooks do not trust what they should
    ["a bundle that was emptied", { bundles: [[]] }, publish("old")],
    ["one of two bundles that was emptied", { bundles: [["old"], []] }, publish("old")],
    ["a bundle with an unknown authority", { bundles: [["stranger"]] }, publish("old")],
    [
      "a bundle with an authority whose certificate a replica may still serve",
      { bundles: [["stranger"]], servedForMs: 1000 },
      publish("old", "stranger"),
    ],
    ["a next authority that is not published", { next: NEW }, publish("old", "new")],
    ["an authority that is not used any more", { bundles: [["stranger", "old"]] }, publish("old")],
    [
      "a previous authority that is not published",
      { current: NEW, previous: "old", bundles: [["new"]] },
      publish("new", "old"),
    ],
    // the serving certificate is not good
    ["no serving certificate", { serving: undefined }, RENEW],
    ["a serving certificate that expired", { serving: serving(EXPIRED) }, RENEW],
    ["one for another service", { serving: serving({ isUsable: false }) }, RENEW],
    ["one of another authority", { serving: serving({ isIssuedByCurrent: false }) }, RENEW],
    [
      "one of another authority while few API servers know the current one",
      {
        current: NEW,
        serving: serving({ isIssuedByCurrent: false }),
        servedForMs: undefined,
        bundles: [["new", "old"]],
        publishedForMs: JUST_NOW,
      },
      wait(TIMING.publishedForMs - 1000),
    ],
    [
      "one that expired, of the current authority",
      { serving: serving(EXPIRED), bundles: [["old"]], publishedForMs: new Map([["old", 0]]) },
      RENEW,
    ],
    // no authority can issue the next certificate
    ["an authority that is due", { current: authority("old", DUE) }, MAKE],
    ["an authority that expired", { current: authority("old", EXPIRED) }, MAKE],
    ["an authority without its key", { current: authority("old", { hasKey: false }) }, MAKE],
    [
      "a next one without its key",
      {
        current: authority("old", DUE),
        next: authority("new", { hasKey: false }),
        bundles: [["old", "new"]],
      },
      MAKE,
    ],
    [
      "a next one that is due itself",
      { current: authority("old", DUE), next: authority("new", DUE), bundles: [["old", "new"]] },
      MAKE,
    ],
    // the next authority
    ["a next one that all API servers know", { next: NEW, bundles: [["old", "new"]] }, SWITCH],
    [
      "a next one that few API servers know",
      { next: NEW, bundles: [["old", "new"]], publishedForMs: JUST_NOW },
      wait(TIMING.publishedForMs - 1000),
    ],
    ["a next one where no webhook is registered", { next: NEW, bundles: [] }, SWITCH],
    // the serving certificate is due
    ["a serving certificate that is due", { serving: serving({ notAfter: NOW + 30 * DAY_MS }) }, RENEW],
    [
      "one that is due, but cannot last longer than its authority",
      { serving: serving(DUE), current: authority("old", DUE), next: NEW, bundles: [["old", "new"]] },
      SWITCH,
    ],
    [
      "one that is due while no authority may issue another one yet",
      {
        serving: serving({ notAfter: NOW + DAY_MS }),
        current: authority("old", { hasKey: false }),
        next: NEW,
        bundles: [["old", "new"]],
        publishedForMs: JUST_NOW,
      },
      wait(TIMING.publishedForMs - 1000),
    ],
    // the previous authority
    ["a previous one that no replica serves by", { previous: "new", bundles: [["old", "new"]] }, FORGET],
    [
      "a previous one that a replica may serve by",
      { previous: "new", bundles: [["old", "new"]], servedForMs: HOUR_MS - 5000 },
      wait(5000),
    ],
    // nothing
    ["nothing at all to do", {}, wait(HOUR_MS)],
    ["nothing to do, and no webhook", { bundles: [] }, wait(HOUR_MS)],
    [
      "a certificate due in a minute",
      { serving: serving({ notAfter: NOW + 30 * DAY_MS + 60_000 }) },
      wait(60_000),
    ],
  ])("decides what to do about %s", (_, difference, action) => {
    expect(planRenewal({ ...STEADY, ...difference }, NOW, TIMING)).toEqual(action);
  });

  it.each<[string, Partial<ObservedState>, RenewalAction]>([
    ["first an authority", {}, MAKE],
    ["then it is published", { next: NEW }, publish("new")],
    ["then it issues, since nothing else is trusted", { next: NEW, bundles: [["new"]] }, SWITCH],
    ["which needs no webhook", { next: NEW, bundles: [] }, SWITCH],
    [
      "but if something else is trusted, a replica may serve by it",
      { next: NEW, bundles: [["stranger"]] },
      publish("new", "stranger"),
    ],
    [
      "until all API servers know it",
      { next: NEW, bundles: [["stranger", "new"]] },
      wait(TIMING.publishedForMs),
    ],
  ])("starts with nothing: %s", (_, difference, action) => {
    expect(planRenewal({ ...NOTHING, ...difference }, NOW, TIMING)).toEqual(action);
  });
});

describe("observe", () => {
  const state = (
    authority: string,
    isIssuedByCurrent: boolean,
    ...bundles: readonly string[][]
  ): CertificateState => ({
    current: { fingerprint: authority, notAfter: 0, hasKey: true },
    next: undefined,
    previous: undefined,
    serving: { isIssuedByCurrent, isUsable: true, notAfter: 0 },
    bundles,
  });
  /** The durations at 5000 after the states that were observed at these times. */
  const durations = (...states: readonly (readonly [number, CertificateState])[]) => {
    const since = states.reduce((before, [time, seen]) => observe(before, seen, time), NOTHING_OBSERVED);
    const { publishedForMs, servedForMs } = withDurations(state("a", true), since, 5000);
    return { published: Object.fromEntries(publishedForMs), served: servedForMs };
  };

  it("knows nothing at first", () => {
    expect(durations()).toEqual({ published: {}, served: undefined });
  });

  it("counts from when something was observed first", () => {
    expect(durations([1000, state("a", true, ["a"])], [2000, state("a", true, ["a", "b"])])).toEqual({
      published: { a: 4000, b: 3000 },
      served: 4000,
    });
  });

  it("starts again after an interruption", () => {
    const interrupted = [
      [1000, state("a", true, ["a"])],
      [2000, state("a", false, [])],
    ] as const;
    expect(durations(...interrupted)).toEqual({ published: {}, served: undefined });
    expect(durations(...interrupted, [3000, state("a", true, ["a"])])).toEqual({
      published: { a: 2000 },
      served: 2000,
    });
  });

  it("counts what is in all bundles", () => {
    expect(
      durations([1000, state("a", true, ["a", "b"], ["b"])], [2000, state("a", true, ["a", "b"], ["b", "a"])])
        .published,
    ).toEqual({ a: 3000, b: 4000 });
  });

  it("starts again with another authority, but not with another certificate of the same one", () => {
    expect(durations([1000, state("a", true)], [2000, state("a", true)]).served).toBe(4000);
    expect(durations([1000, state("a", true)], [4000, state("b", true)]).served).toBe(1000);
  });
});
