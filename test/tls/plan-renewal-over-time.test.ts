/** Follows the plan step by step in a simulated cluster whose clock the test sets. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  NOTHING_OBSERVED,
  observe,
  planRenewal,
  RENEWAL_TIMING,
  withDurations,
  type AuthorityInfo,
  type CertificateState,
} from "../../src/tls/plan-renewal.ts";

interface Serving {
  readonly issuer: string;
  readonly isUsable: boolean;
  readonly notAfter: number;
}
interface Secret {
  readonly current: AuthorityInfo | undefined;
  readonly next: AuthorityInfo | undefined;
  readonly previous: string | undefined;
  readonly serving: Serving | undefined;
}
interface Past<T> {
  readonly value: T;
  /** When something else took its place. */
  until: number;
}

const EMPTY: Secret = { current: undefined, next: undefined, previous: undefined, serving: undefined };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Lifetimes of days, because the plan is made at least every hour; the waits are the real ones. */
const TIMING = { ...RENEWAL_TIMING, authorityLifetimeMs: 12 * DAY_MS, servingLifetimeMs: 3 * DAY_MS };

/** Replicas lag behind by nearly an hour, API servers by nearly two minutes. */
class World {
  now = Date.UTC(2026, 0, 1);
  secret: Secret = EMPTY;
  bundles: readonly (readonly string[])[];
  steps = 0;
  private made = 0;
  private readonly servings: Past<Serving>[] = [];
  private readonly registrations: Past<readonly string[]>[] = [];
  private observedSince = NOTHING_OBSERVED;

  constructor(webhooks: number) {
    this.bundles = Array.from({ length: webhooks }, () => []);
    this.record();
  }

  /** Another leader, which has observed nothing yet. */
  restartLeader(): void {
    this.observedSince = NOTHING_OBSERVED;
  }

  /** Changes the state, as a person does. */
  change(secret: Secret, bundles = this.bundles): void {
    this.secret = secret;
    this.bundles = bundles;
    this.record();
  }

  /** Lets the leader work for so long. */
  run(durationMs: number, onStep: () => void = () => undefined): void {
    const end = this.now + durationMs;
    for (;;) {
      const { current, next, previous, serving } = this.secret;
      const isIssuedByCurrent = serving !== undefined && serving.issuer === current?.fingerprint;
      const state: CertificateState = {
        current,
        next,
        previous,
        serving: serving === undefined ? undefined : { ...serving, isIssuedByCurrent },
        bundles: this.bundles,
      };
      this.observedSince = observe(this.observedSince, state, this.now);
      const action = planRenewal(withDurations(state, this.observedSince, this.now), this.now, TIMING);
      if (action.kind === "wait") {
        if (this.now + action.forMs > end) {
          this.now = Math.max(this.now, end);
          return;
        }
        this.now += action.forMs;
        continue;
      }
      if (++this.steps > 10_000) throw new Error("the steps do not end");
      if (action.kind === "publish") this.bundles = this.bundles.map(() => action.fingerprints);
      if (action.kind === "forget-previous") this.secret = { ...this.secret, previous: undefined };
      if (action.kind === "make-authority") {
        const notAfter = this.now + TIMING.authorityLifetimeMs;
        const fingerprint = `ca-${String(++this.made)}`;
        this.secret = { ...this.secret, next: { fingerprint, notAfter, hasKey: true } };
      }
      if (action.kind === "renew-serving") this.secret = { ...this.secret, serving: this.issue(current) };
      if (action.kind === "switch-authority") {
        this.secret = {
          current: next,
          next: undefined,
          previous: current?.fingerprint,
          serving: this.issue(next),
        };
      }
      this.record();
      onStep();
      this.now += 100;
    }
  }

  /** Certificates that a replica may serve now and that an API server may not trust now. */
  gaps(): readonly string[] {
    const served = this.servings.filter(({ until }) => this.now < until + TIMING.servedForMs);
    const trusted = this.registrations.filter(({ until }) => this.now < until + TIMING.publishedForMs);
    return served.flatMap(({ value: serving }) =>
      trusted
        .filter(({ value }) => !value.includes(serving.issuer) || serving.notAfter <= this.now)
        .map(({ value }) => `${serving.issuer} until ${String(serving.notAfter)}, trusted: ${value.join()}`),
    );
  }

  isSteady(): boolean {
    const { current, next, previous, serving } = this.secret;
    return (
      serving !== undefined &&
      serving.issuer === current?.fingerprint &&
      serving.isUsable &&
      serving.notAfter > this.now &&
      next === undefined &&
      previous === undefined &&
      this.bundles.every((bundle) => bundle.join() === current.fingerprint)
    );
  }

  private issue(authority: AuthorityInfo | undefined): Serving {
    if (authority?.hasKey !== true || authority.notAfter <= this.now) throw new Error("it cannot issue");
    const notAfter = Math.min(this.now + TIMING.servingLifetimeMs, authority.notAfter);
    return { issuer: authority.fingerprint, isUsable: true, notAfter };
  }

  private record(): void {
    const { serving } = this.secret;
    replace(this.servings, serving, this.now);
    // What one webhook does not trust is not trusted.
    const [first = [], ...others] = this.bundles;
    const common = first.filter((fingerprint) => others.every((bundle) => bundle.includes(fingerprint)));
    replace(this.registrations, common, this.now);
  }
}

function replace<T>(history: Past<T>[], value: T | undefined, now: number): void {
  const last = history.at(-1);
  if (value === undefined || (last?.until === Infinity && last.value === value)) return;
  if (last?.until === Infinity) last.until = now;
  history.push({ value, until: Infinity });
}

/** Starts from nothing and waits until every replica serves the certificate. */
function started(webhooks = 1): World {
  const world = new World(webhooks);
  world.run(2 * 60 * MINUTE_MS);
  return world;
}

describe("planRenewal over time", () => {
  it("makes everything at once if there is nothing, and nothing more for two days", () => {
    const world = new World(1);
    world.run(1000);
    expect(world.isSteady()).toBe(true);
    const { steps } = world;
    world.run(1.9 * DAY_MS);
    expect(world.steps).toBe(steps);
  });

  it("never serves a certificate that an API server does not trust, for ten authorities", () => {
    const world = started();
    world.run(81 * DAY_MS, () => {
      expect(world.gaps()).toEqual([]);
    });
    // An authority every 8 days, in three steps and two publications, and a certificate every two days.
    expect(world.steps).toBeGreaterThan(10 * 5);
    expect(world.steps).toBeLessThan(10 * 12);
  });

  it("nor whenever the leader or the Secret is lost", () => {
    const event = fc.record({
      kind: fc.constantFrom("nothing", "restart", "lose-secret", "lose-key", "lose-both"),
      runMs: fc.oneof(fc.integer({ min: 0, max: 10 * DAY_MS }), fc.integer({ min: 0, max: 90 * MINUTE_MS })),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 }), fc.array(event, { maxLength: 12 }), (webhooks, events) => {
        const world = started(webhooks);
        const check = (): void => {
          expect(world.gaps()).toEqual([]);
        };
        for (const { kind, runMs } of events) {
          const { secret } = world;
          if (kind === "lose-secret" || kind === "lose-both") world.change(EMPTY);
          if (kind === "lose-key" && secret.current !== undefined) {
            world.change({ ...secret, current: { ...secret.current, hasKey: false } });
          }
          if (kind === "restart" || kind === "lose-both") world.restartLeader();
          check();
          world.run(runMs, check);
          check();
        }
        world.run(3 * 60 * MINUTE_MS, check);
        const isRotating = world.secret.next !== undefined || world.secret.previous !== undefined;
        expect(isRotating || world.isSteady()).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("becomes steady from any state", () => {
    const time = fc.integer({ min: -DAY_MS, max: 12 * DAY_MS });
    const authority = (names: readonly string[]) =>
      fc.option(fc.record({ fingerprint: fc.constantFrom(...names), notAfter: time, hasKey: fc.boolean() }), {
        nil: undefined,
      });
    const anySecret = fc.record({
      current: authority(["a", "b"]),
      next: authority(["a", "b", "c"]),
      previous: fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined }),
      serving: fc.option(
        fc.record({ issuer: fc.constantFrom("a", "b", "stranger"), isUsable: fc.boolean(), notAfter: time }),
        { nil: undefined },
      ),
    });
    const anyBundles = fc.array(fc.subarray(["a", "b", "c", "stranger"]), { maxLength: 3 });
    fc.assert(
      fc.property(anySecret, anyBundles, (secret, bundles) => {
        const world = new World(bundles.length);
        const relative = <T extends { readonly notAfter: number }>(one: T | undefined): T | undefined =>
          one === undefined ? undefined : { ...one, notAfter: world.now + one.notAfter };
        const { current, next, previous, serving } = secret;
        world.change(
          { current: relative(current), next: relative(next), previous, serving: relative(serving) },
          bundles,
        );
        // An authority may have to be replaced meanwhile. A next one that cannot issue harms nobody, and is replaced when it
        // is needed.
        const isAtRest = (): boolean => {
          const { next: left } = world.secret;
          const isUseless = left !== undefined && (!left.hasKey || left.notAfter <= world.now + 5 * DAY_MS);
          return isUseless || world.isSteady();
        };
        for (let hours = 0; hours < 12 && !isAtRest(); hours++) world.run(60 * MINUTE_MS);
        expect(isAtRest()).toBe(true);
        const { steps } = world;
        world.run(60 * MINUTE_MS);
        expect(world.steps - steps).toBeLessThan(7);
      }),
      { numRuns: 2000 },
    );
  });
});
