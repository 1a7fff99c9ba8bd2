/** A cluster whose clock runs as fast as one likes: what the plan leads to, step by step. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planRenewal, type AuthorityFacts, type CertificateFacts } from "../../src/tls/plan-renewal.ts";
import { RENEWAL_TIMING } from "../../src/tls/renewal-timing.ts";
import { createSightings } from "../../src/tls/sightings.ts";

interface Serving {
  readonly issuer: string;
  readonly isFitting: boolean;
  readonly notAfter: number;
}
interface Secret {
  readonly current: AuthorityFacts | undefined;
  readonly next: AuthorityFacts | undefined;
  readonly previous: string | undefined;
  readonly serving: Serving | undefined;
}
interface Seen<T> {
  readonly value: T;
  /** When something else took its place. */
  until: number;
}

const EMPTY: Secret = { current: undefined, next: undefined, previous: undefined, serving: undefined };
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Lifetimes of days, since one looks every hour; the waits are as they are. */
const TIMING = { ...RENEWAL_TIMING, authorityLifetimeMs: 12 * DAY_MS, servingLifetimeMs: 3 * DAY_MS };

/** Replicas are nearly an hour behind, and API servers nearly two minutes. */
class World {
  now = Date.UTC(2026, 0, 1);
  secret: Secret = EMPTY;
  bundles: readonly (readonly string[])[];
  steps = 0;
  private made = 0;
  private readonly servings: Seen<Serving>[] = [];
  private readonly registrations: Seen<readonly string[]>[] = [];
  private sightings = createSightings(() => this.now);

  constructor(webhooks: number) {
    this.bundles = Array.from({ length: webhooks }, () => []);
    this.record();
  }

  /** Another leader, which has seen nothing yet. */
  restartLeader(): void {
    this.sightings = createSightings(() => this.now);
  }

  /** What a person does. */
  change(secret: Secret, bundles = this.bundles): void {
    this.secret = secret;
    this.bundles = bundles;
    this.record();
  }

  /** Lets the leader do what it has to, for so long. */
  run(durationMs: number, onStep: () => void = () => undefined): void {
    const end = this.now + durationMs;
    for (;;) {
      const { current, next, previous, serving } = this.secret;
      const isOfCurrent = serving !== undefined && serving.issuer === current?.fingerprint;
      const facts: Omit<CertificateFacts, "publishedForMs" | "servedForMs"> = {
        current,
        next,
        previous,
        serving: serving === undefined ? undefined : { ...serving, isOfCurrent },
        bundles: this.bundles,
      };
      this.sightings.see(facts);
      const action = planRenewal({ ...facts, ...this.sightings.durations() }, this.now, TIMING);
      if (action.kind === "wait") {
        if (this.now + action.forMs > end) {
          this.now = Math.max(this.now, end);
          return;
        }
        this.now += action.forMs;
        continue;
      }
      if (++this.steps > 10_000) throw new Error("it does not end");
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

  /** Pairs of what a replica may serve now and what an API server may trust now that do not fit. */
  gaps(): readonly string[] {
    const served = this.servings.filter(({ until }) => this.now < until + TIMING.servedForMs);
    const trusted = this.registrations.filter(({ until }) => this.now < until + TIMING.publishedForMs);
    return served.flatMap(({ value: serving }) =>
      trusted
        .filter(({ value }) => !value.includes(serving.issuer) || serving.notAfter <= this.now)
        .map(({ value }) => `${serving.issuer} until ${String(serving.notAfter)}, trusted: ${value.join()}`),
    );
  }

  isSettled(): boolean {
    const { current, next, previous, serving } = this.secret;
    return (
      serving !== undefined &&
      serving.issuer === current?.fingerprint &&
      serving.isFitting &&
      serving.notAfter > this.now &&
      next === undefined &&
      previous === undefined &&
      this.bundles.every((bundle) => bundle.join() === current.fingerprint)
    );
  }

  private issue(authority: AuthorityFacts | undefined): Serving {
    if (authority?.hasKey !== true || authority.notAfter <= this.now) throw new Error("it cannot issue");
    const notAfter = Math.min(this.now + TIMING.servingLifetimeMs, authority.notAfter);
    return { issuer: authority.fingerprint, isFitting: true, notAfter };
  }

  private record(): void {
    const { serving } = this.secret;
    replace(this.servings, serving, this.now);
    // Where one webhook does not trust it, it is not trusted.
    const [first = [], ...others] = this.bundles;
    const common = first.filter((fingerprint) => others.every((bundle) => bundle.includes(fingerprint)));
    replace(this.registrations, common, this.now);
  }
}

function replace<T>(history: Seen<T>[], value: T | undefined, now: number): void {
  const last = history.at(-1);
  if (value === undefined || (last?.until === Infinity && last.value === value)) return;
  if (last?.until === Infinity) last.until = now;
  history.push({ value, until: Infinity });
}

/** From nothing, and until everybody knows. */
function started(webhooks = 1): World {
  const world = new World(webhooks);
  world.run(2 * 60 * MINUTE_MS);
  return world;
}

describe("planRenewal over time", () => {
  it("makes everything at once where there was nothing, and nothing more for two days", () => {
    const world = new World(1);
    world.run(1000);
    expect(world.isSettled()).toBe(true);
    const { steps } = world;
    world.run(1.9 * DAY_MS);
    expect(world.steps).toBe(steps);
  });

  it("never has a certificate served that some API server does not trust, for ten authorities", () => {
    const world = started();
    world.run(81 * DAY_MS, () => {
      expect(world.gaps()).toEqual([]);
    });
    // Every 8 days an authority, in three steps and two publications, and every two days a certificate.
    expect(world.steps).toBeGreaterThan(10 * 5);
    expect(world.steps).toBeLessThan(10 * 12);
  });

  it("nor whenever the leader is lost, or the Secret", () => {
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
        expect(isRotating || world.isSettled()).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("comes to rest from any state", () => {
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
        fc.record({ issuer: fc.constantFrom("a", "b", "stranger"), isFitting: fc.boolean(), notAfter: time }),
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
        // It may have to replace an authority meanwhile. A next one that nothing can be issued by harms nobody, and is
        // replaced when one is needed.
        const isAtRest = (): boolean => {
          const { next: left } = world.secret;
          const isUseless = left !== undefined && (!left.hasKey || left.notAfter <= world.now + 5 * DAY_MS);
          return isUseless || world.isSettled();
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
