import { describe, expect, it } from "vitest";
import {
  planRenewal,
  type AuthorityFacts,
  type CertificateFacts,
  type RenewalAction,
  type ServingFacts,
} from "../../src/tls/plan-renewal.ts";
import { RENEWAL_TIMING as TIMING } from "../../src/tls/renewal-timing.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60_000;

const authority = (fingerprint: string, difference: Partial<AuthorityFacts> = {}): AuthorityFacts => ({
  fingerprint,
  notAfter: NOW + 300 * DAY_MS,
  hasKey: true,
  ...difference,
});
const serving = (difference: Partial<ServingFacts> = {}): ServingFacts => ({
  isOfCurrent: true,
  isFitting: true,
  notAfter: NOW + 80 * DAY_MS,
  ...difference,
});
const OLD = authority("old");
const NEW = authority("new");
const DUE = { notAfter: NOW + 100 * DAY_MS };
const ENDED = { notAfter: NOW - 1 };
const LONG_AGO = new Map([
  ["old", DAY_MS],
  ["new", DAY_MS],
]);
const JUST_NOW = new Map([
  ["old", DAY_MS],
  ["new", 1000],
]);

/** Everything is as it should be, and has been for long. */
const STEADY: CertificateFacts = {
  current: OLD,
  next: undefined,
  previous: undefined,
  serving: serving(),
  bundles: [["old"]],
  publishedForMs: LONG_AGO,
  servedForMs: DAY_MS,
};
const NOTHING: CertificateFacts = {
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
  it.each<[string, Partial<CertificateFacts>, RenewalAction]>([
    // webhooks do not trust what they should
    ["a bundle that was emptied", { bundles: [[]] }, publish("old")],
    ["one of two bundles that was emptied", { bundles: [["old"], []] }, publish("old")],
    ["a bundle of somebody else's", { bundles: [["stranger"]] }, publish("old")],
    [
      "a bundle by which somebody may still serve",
      { bundles: [["stranger"]], servedForMs: 1000 },
      publish("old", "stranger"),
    ],
    ["a next authority that is not published", { next: NEW }, publish("old", "new")],
    ["an authority that was forgotten", { bundles: [["stranger", "old"]] }, publish("old")],
    [
      "a previous authority that is not published",
      { current: NEW, previous: "old", bundles: [["new"]] },
      publish("new", "old"),
    ],
    // the serving certificate is not good
    ["no serving certificate", { serving: undefined }, RENEW],
    ["a serving certificate that ended", { serving: serving(ENDED) }, RENEW],
    ["one for another service", { serving: serving({ isFitting: false }) }, RENEW],
    ["one of another authority", { serving: serving({ isOfCurrent: false }) }, RENEW],
    [
      "one of another authority, while the current one is known to few",
      {
        current: NEW,
        serving: serving({ isOfCurrent: false }),
        servedForMs: undefined,
        bundles: [["new", "old"]],
        publishedForMs: JUST_NOW,
      },
      wait(TIMING.publishedForMs - 1000),
    ],
    [
      "one that ended, of the current authority",
      { serving: serving(ENDED), bundles: [["old"]], publishedForMs: new Map([["old", 0]]) },
      RENEW,
    ],
    // there is none to issue the next certificate
    ["an authority that is due", { current: authority("old", DUE) }, MAKE],
    ["an authority that ended", { current: authority("old", ENDED) }, MAKE],
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
      "a next one that few know",
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
      "one that is due while nobody may issue another one yet",
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
    ["a previous one that is nobody's now", { previous: "new", bundles: [["old", "new"]] }, FORGET],
    [
      "a previous one that somebody may serve by",
      { previous: "new", bundles: [["old", "new"]], servedForMs: HOUR_MS - 5000 },
      wait(5000),
    ],
    // nothing
    ["nothing at all to do", {}, wait(HOUR_MS)],
    ["nothing to do and nobody to call", { bundles: [] }, wait(HOUR_MS)],
    [
      "a certificate due in a minute",
      { serving: serving({ notAfter: NOW + 30 * DAY_MS + 60_000 }) },
      wait(60_000),
    ],
  ])("has an answer to %s", (_, difference, action) => {
    expect(planRenewal({ ...STEADY, ...difference }, NOW, TIMING)).toEqual(action);
  });

  it.each<[string, Partial<CertificateFacts>, RenewalAction]>([
    ["first an authority", {}, MAKE],
    ["then it is published", { next: NEW }, publish("new")],
    ["then it issues, since nothing else is trusted", { next: NEW, bundles: [["new"]] }, SWITCH],
    ["which needs no webhook", { next: NEW, bundles: [] }, SWITCH],
    [
      "but where something else is trusted, somebody may serve by it",
      { next: NEW, bundles: [["stranger"]] },
      publish("new", "stranger"),
    ],
    ["until all know", { next: NEW, bundles: [["stranger", "new"]] }, wait(TIMING.publishedForMs)],
  ])("begins with nothing: %s", (_, difference, action) => {
    expect(planRenewal({ ...NOTHING, ...difference }, NOW, TIMING)).toEqual(action);
  });
});
