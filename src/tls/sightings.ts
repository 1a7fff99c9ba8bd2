/** For how long something has been so, as far as this process saw. Clocks of two machines are never compared. */
import type { StateFacts } from "./certificate-facts.ts";
import type { CertificateFacts } from "./plan-renewal.ts";

export interface Sightings {
  /** Called with every change. */
  see(facts: StateFacts): void;
  durations(): Pick<CertificateFacts, "publishedForMs" | "servedForMs">;
}

/** `monotonicMs` never goes back; only differences count. */
export function createSightings(monotonicMs: () => number): Sightings {
  let published: ReadonlyMap<string, number> = new Map();
  let served: { readonly authority: string; readonly since: number } | undefined;
  return {
    see({ current, serving, bundles: [first = [], ...others] }) {
      const now = monotonicMs();
      const everywhere = first.filter((fingerprint) =>
        others.every((bundle) => bundle.includes(fingerprint)),
      );
      published = new Map(
        everywhere.map((fingerprint) => [fingerprint, published.get(fingerprint) ?? now] as const),
      );
      const authority = serving?.isOfCurrent === true ? current?.fingerprint : undefined;
      if (authority === undefined) served = undefined;
      else if (authority !== served?.authority) served = { authority, since: now };
    },
    durations() {
      const now = monotonicMs();
      return {
        publishedForMs: new Map([...published].map(([fingerprint, since]) => [fingerprint, now - since])),
        servedForMs: served === undefined ? undefined : now - served.since,
      };
    },
  };
}
