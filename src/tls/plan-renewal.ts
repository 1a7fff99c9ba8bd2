/** Decides the next step for the certificates that Pullpass manages itself. Pure: no clock, no cluster. */

/** How long certificates last, and how long changes take to reach every API server and replica. */
export interface RenewalTiming {
  readonly authorityLifetimeMs: number;
  readonly servingLifetimeMs: number;
  /** How long a new authority is published before a certificate that it issued is served. */
  readonly publishedForMs: number;
  /** How long the Secret holds a certificate of the new authority before the old authority is no longer trusted. */
  readonly servedForMs: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/*
 * Both are renewed when a third of the lifetime is left: 30 days for a certificate, 4 months for an authority. A
 * certificate therefore never outlives its authority, and a cluster that was off for a month has a valid one.
 *
 * API servers watch webhook configurations: they see a change within milliseconds, or within about a minute after a watch
 * died silently. Replicas watch the Secret: milliseconds, 90 s after a watch died silently, and half an hour
 * (`--resync-period`) after a watch lost an event. Trusting an old authority for an hour costs nothing, because its key is
 * already deleted.
 */
export const RENEWAL_TIMING: RenewalTiming = {
  authorityLifetimeMs: 365 * DAY_MS,
  servingLifetimeMs: 90 * DAY_MS,
  publishedForMs: 2 * MINUTE_MS,
  servedForMs: 60 * MINUTE_MS,
};

export interface AuthorityInfo {
  readonly fingerprint: string;
  /** Unix time in milliseconds, like all times here. */
  readonly notAfter: number;
  /** Whether its private key is there and belongs to it. */
  readonly hasKey: boolean;
}

export interface ServingInfo {
  readonly isIssuedByCurrent: boolean;
  /** Whether its private key belongs to it, and it covers all names of the Service. */
  readonly isUsable: boolean;
  readonly notAfter: number;
}

/** What the cluster holds. */
export interface CertificateState {
  /** The authority that issues serving certificates. */
  readonly current: AuthorityInfo | undefined;
  /** The authority that will replace it: published, but has issued nothing yet. */
  readonly next: AuthorityInfo | undefined;
  /** The fingerprint of the authority that was replaced. A replica that lags may still serve a certificate of it. */
  readonly previous: string | undefined;
  readonly serving: ServingInfo | undefined;
  /** The fingerprints that each webhook trusts; empty if no webhook is registered. */
  readonly bundles: readonly (readonly string[])[];
}

/**
 * Since when this process has observed what takes time to reach everybody, by a monotonic clock in milliseconds. Only
 * differences count, so the clocks of two machines are never compared.
 */
export interface ObservedSince {
  /** By fingerprint: in all bundles without interruption. */
  readonly published: ReadonlyMap<string, number>;
  /** The Secret holds a certificate of this authority. */
  readonly served: { readonly authority: string; readonly since: number } | undefined;
}

export const NOTHING_OBSERVED: ObservedSince = { published: new Map(), served: undefined };

/** To be called with each change of the state. */
export function observe(
  before: ObservedSince,
  { current, serving, bundles: [first = [], ...others] }: CertificateState,
  nowMs: number,
): ObservedSince {
  const inAll = first.filter((fingerprint) => others.every((bundle) => bundle.includes(fingerprint)));
  const published = inAll.map(
    (fingerprint) => [fingerprint, before.published.get(fingerprint) ?? nowMs] as const,
  );
  const authority = serving?.isIssuedByCurrent === true ? current?.fingerprint : undefined;
  let { served } = before;
  if (authority === undefined) served = undefined;
  else if (authority !== served?.authority) served = { authority, since: nowMs };
  return { published: new Map(published), served };
}

/** A state, and for how long this process has observed what the plan waits for. */
export interface ObservedState extends CertificateState {
  /** By fingerprint: in all bundles. */
  readonly publishedForMs: ReadonlyMap<string, number>;
  /** The Secret holds a certificate of the current authority; undefined if it does not. */
  readonly servedForMs: number | undefined;
}

export function withDurations(
  state: CertificateState,
  { published, served }: ObservedSince,
  nowMs: number,
): ObservedState {
  return {
    ...state,
    publishedForMs: new Map(published.entries().map(([fingerprint, since]) => [fingerprint, nowMs - since])),
    servedForMs: served && nowMs - served.since,
  };
}

export type RenewalAction =
  /** Make exactly these authorities the bundle of each webhook. */
  | { readonly kind: "publish"; readonly fingerprints: readonly string[] }
  /** Make an authority, which becomes the next one. */
  | { readonly kind: "make-authority" }
  /** The next authority becomes the current one and issues the serving certificate. */
  | { readonly kind: "switch-authority" }
  /** The current authority issues a new serving certificate. */
  | { readonly kind: "renew-serving" }
  | { readonly kind: "forget-previous" }
  /** Nothing to do now. Plan again after that time, or when something changes. */
  | { readonly kind: "wait"; readonly forMs: number };

/** Somebody may set the clock, which timers do not notice. */
const LONGEST_WAIT_MS = 60 * 60_000;

/*
 * The first row that holds decides. Due: a third of the lifetime or less is left.
 *
 * | webhooks trust  | serving certificate | current authority  | next authority | previous          | action           |
 * | --------------- | ------------------- | ------------------ | -------------- | ----------------- | ---------------- |
 * | other than they |                     |                    |                |                   | publish          |
 * | should          |                     |                    |                |                   |                  |
 * |                 | missing, expired,   | can issue, safe    |                |                   | renew-serving    |
 * |                 | or not usable       |                    |                |                   |                  |
 * |                 |                     | cannot issue, due  | cannot issue   |                   | make-authority   |
 * |                 |                     |                    | safe           |                   | switch-authority |
 * |                 | due                 | can issue, expires |                |                   | renew-serving    |
 * |                 |                     | after it           |                |                   |                  |
 * |                 |                     |                    |                | there, and the    | forget-previous  |
 * |                 |                     |                    |                | rollout complete  |                  |
 * |                 |                     |                    |                |                   | wait             |
 *
 * The rollout is complete when the Secret has held a certificate of the current authority for so long that all replicas
 * serve it. Webhooks should trust the three authorities, and until the rollout is complete also what they trusted before,
 * because a replica may still serve a certificate of it.
 *
 * An authority is safe to serve by if API servers have trusted it for long enough, if they trust nothing else, or if no
 * webhook is registered. The current authority is also safe if it issued the certificate that is not good any more.
 */
export function planRenewal(state: ObservedState, now: number, timing: RenewalTiming): RenewalAction {
  const { current, next, previous, serving, bundles, servedForMs } = state;
  const isRolloutComplete = servedForMs !== undefined && servedForMs >= timing.servedForMs;
  const isDue = ({ notAfter }: AuthorityInfo) => now >= renewalTime(notAfter, timing.authorityLifetimeMs);
  const canIssue = (authority: AuthorityInfo) => authority.hasKey && now < authority.notAfter;
  const isSafe = (authority: AuthorityInfo) =>
    bundles.flat().every((fingerprint) => fingerprint === authority.fingerprint) ||
    publishedForMs(state, authority) >= timing.publishedForMs;

  const trusted = trustedAuthorities(state, isRolloutComplete);
  if (bundles.some((bundle) => !isSameSet(bundle, trusted)))
    return { kind: "publish", fingerprints: trusted };

  const isGood =
    serving !== undefined && serving.isIssuedByCurrent && serving.isUsable && now < serving.notAfter;
  const issuer = current !== undefined && canIssue(current) ? current : undefined;
  const successor = next !== undefined && canIssue(next) && !isDue(next) ? next : undefined;
  if (!isGood && issuer !== undefined && (serving?.isIssuedByCurrent === true || isSafe(issuer))) {
    return { kind: "renew-serving" };
  }
  if ((issuer === undefined || isDue(issuer)) && successor === undefined) return { kind: "make-authority" };
  if (successor !== undefined && isSafe(successor)) return { kind: "switch-authority" };
  if (isGood && issuer !== undefined && serving.notAfter < issuer.notAfter) {
    if (now >= renewalTime(serving.notAfter, timing.servingLifetimeMs)) return { kind: "renew-serving" };
  }
  if (isRolloutComplete && previous !== undefined) return { kind: "forget-previous" };
  return { kind: "wait", forMs: waitMs(state, now, timing) };
}

/** In the order in which they are published. */
function trustedAuthorities(
  { current, next, previous, bundles }: ObservedState,
  isRolloutComplete: boolean,
): readonly string[] {
  const own = [current?.fingerprint, next?.fingerprint, previous].filter((known) => known !== undefined);
  return [...new Set([...own, ...(isRolloutComplete ? [] : bundles.flat())])];
}

function waitMs(state: ObservedState, now: number, timing: RenewalTiming): number {
  const { current, next, serving, servedForMs } = state;
  const times = [
    ...[current, next].flatMap((authority) =>
      authority === undefined
        ? []
        : [
            renewalTime(authority.notAfter, timing.authorityLifetimeMs) - now,
            timing.publishedForMs - publishedForMs(state, authority),
          ],
    ),
    ...(serving === undefined
      ? []
      : [renewalTime(serving.notAfter, timing.servingLifetimeMs) - now, serving.notAfter - now]),
    ...(servedForMs === undefined ? [] : [timing.servedForMs - servedForMs]),
  ];
  // The plan has dealt with times in the past, or waits for something else.
  return Math.min(LONGEST_WAIT_MS, ...times.filter((time) => time > 0));
}

function publishedForMs({ publishedForMs: times }: ObservedState, { fingerprint }: AuthorityInfo): number {
  return times.get(fingerprint) ?? 0;
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  const [first, second] = [new Set(one), new Set(other)];
  return first.size === second.size && [...first].every((element) => second.has(element));
}

/** When to replace a certificate that expires at `notAfter` and was issued for `lifetimeMs`. */
function renewalTime(notAfter: number, lifetimeMs: number): number {
  return notAfter - lifetimeMs / 3;
}
