/** How long certificates last, and how long changes take to be known everywhere. */

export interface RenewalTiming {
  readonly authorityLifetimeMs: number;
  readonly servingLifetimeMs: number;
  /** How long a new authority has been published before a certificate of it is served. */
  readonly publishedForMs: number;
  /** How long all replicas have had a certificate of the new authority before the old one is not trusted any more. */
  readonly servedForMs: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/*
 * Both are renewed when a third of the time is left: 30 days for a certificate, 4 months for an authority, so that a
 * certificate never outlives its authority, and a cluster that is switched off for a month comes back with a good one.
 *
 * API servers watch webhook configurations: milliseconds, and about a minute where a watch died silently. Replicas watch
 * the Secret: milliseconds, 90 s where a watch died silently, and half an hour (`--resync-period`) where a watch lost an
 * event; to trust an authority for an hour longer costs nothing, since its key is gone by then.
 */
export const RENEWAL_TIMING: RenewalTiming = {
  authorityLifetimeMs: 365 * DAY_MS,
  servingLifetimeMs: 90 * DAY_MS,
  publishedForMs: 2 * MINUTE_MS,
  servedForMs: 60 * MINUTE_MS,
};

/** A certificate that ends at `notAfter` and was made to last `lifetimeMs` is to be replaced from then on. */
export function renewalTime(notAfter: number, lifetimeMs: number): number {
  return notAfter - lifetimeMs / 3;
}
