/** Says what is to be done next about the certificates that Pullpass keeps for itself. Pure: no clock, no cluster. */
import { renewalTime, type RenewalTiming } from "./renewal-timing.ts";

export interface AuthorityFacts {
  readonly fingerprint: string;
  /** Unix time in milliseconds, as all times here. */
  readonly notAfter: number;
  /** Its key is there, and is its own. */
  readonly hasKey: boolean;
}

export interface ServingFacts {
  readonly isOfCurrent: boolean;
  /** Its key is its own, and it is for all names of the service. */
  readonly isFitting: boolean;
  readonly notAfter: number;
}

export interface CertificateFacts {
  /** What issues serving certificates. */
  readonly current: AuthorityFacts | undefined;
  /** What replaces it: published, and nothing is issued by it yet. */
  readonly next: AuthorityFacts | undefined;
  /** The fingerprint of what it replaced, by which a replica that is behind may still serve. */
  readonly previous: string | undefined;
  readonly serving: ServingFacts | undefined;
  /** Fingerprints of what each webhook trusts; empty if no webhook is registered. */
  readonly bundles: readonly (readonly string[])[];
  /** For how long, in milliseconds, each fingerprint was seen in all bundles without a break. */
  readonly publishedForMs: ReadonlyMap<string, number>;
  /** For how long the Secret was seen to hold certificates of the current authority; undefined if it holds none. */
  readonly servedForMs: number | undefined;
}

export type RenewalAction =
  /** Make exactly these the bundle of each webhook. */
  | { readonly kind: "publish"; readonly fingerprints: readonly string[] }
  /** Make an authority, which becomes the next one. */
  | { readonly kind: "make-authority" }
  /** The next authority becomes the current one and issues the serving certificate. */
  | { readonly kind: "switch-authority" }
  /** The current authority issues a new serving certificate. */
  | { readonly kind: "renew-serving" }
  | { readonly kind: "forget-previous" }
  /** Nothing now; look again after that time, unless something changes before. */
  | { readonly kind: "wait"; readonly forMs: number };

/** One looks again after an hour anyway: clocks are set, and timers do not know it. */
const LONGEST_WAIT_MS = 60 * 60_000;

/*
 * The first row that holds decides.
 *
 * | webhooks trust | serving certificate       | current authority  | next authority | previous            | action           |
 * | -------------- | ------------------------- | ------------------ | -------------- | ------------------- | ---------------- |
 * | not what they  |                           |                    |                |                     | publish          |
 * | should         |                           |                    |                |                     |                  |
 * |                | missing, ended, unfitting | can issue, safe    |                |                     | renew-serving    |
 * |                |                           | cannot issue, due  | cannot issue   |                     | make-authority   |
 * |                |                           |                    | safe           |                     | switch-authority |
 * |                | due                       | can issue, and its |                |                     | renew-serving    |
 * |                |                           | own end is later   |                |                     |                  |
 * |                |                           |                    |                | there, nobody's now | forget-previous  |
 * |                |                           |                    |                |                     | wait             |
 *
 * Webhooks should trust the three authorities, and also what they trusted before, since somebody may serve by it: until
 * all replicas have had a certificate of the current authority for long enough. An authority is safe to serve by where
 * the API servers have known it for long enough, where nothing else is trusted either, or where nobody calls. The current
 * one is safe as well where the certificate that is not good any more was issued by it.
 */
export function planRenewal(facts: CertificateFacts, now: number, timing: RenewalTiming): RenewalAction {
  const { current, next, previous, serving, bundles, servedForMs } = facts;
  const isSettled = servedForMs !== undefined && servedForMs >= timing.servedForMs;
  const isDue = ({ notAfter }: AuthorityFacts) => now >= renewalTime(notAfter, timing.authorityLifetimeMs);
  const canIssue = (authority: AuthorityFacts) => authority.hasKey && now < authority.notAfter;
  const isSafe = (authority: AuthorityFacts) =>
    bundles.flat().every((fingerprint) => fingerprint === authority.fingerprint) ||
    publishedForMs(facts, authority) >= timing.publishedForMs;

  const trusted = trustedAuthorities(facts, isSettled);
  if (bundles.some((bundle) => !isSameSet(bundle, trusted)))
    return { kind: "publish", fingerprints: trusted };

  const isGood = serving !== undefined && serving.isOfCurrent && serving.isFitting && now < serving.notAfter;
  const issuer = current !== undefined && canIssue(current) ? current : undefined;
  const successor = next !== undefined && canIssue(next) && !isDue(next) ? next : undefined;
  if (!isGood && issuer !== undefined && (serving?.isOfCurrent === true || isSafe(issuer))) {
    return { kind: "renew-serving" };
  }
  if ((issuer === undefined || isDue(issuer)) && successor === undefined) return { kind: "make-authority" };
  if (successor !== undefined && isSafe(successor)) return { kind: "switch-authority" };
  if (isGood && issuer !== undefined && serving.notAfter < issuer.notAfter) {
    if (now >= renewalTime(serving.notAfter, timing.servingLifetimeMs)) return { kind: "renew-serving" };
  }
  if (isSettled && previous !== undefined) return { kind: "forget-previous" };
  return { kind: "wait", forMs: waitMs(facts, now, timing) };
}

/** In the order in which they are written. */
function trustedAuthorities(
  { current, next, previous, bundles }: CertificateFacts,
  isSettled: boolean,
): readonly string[] {
  const kept = [current?.fingerprint, next?.fingerprint, previous].filter((known) => known !== undefined);
  return [...new Set([...kept, ...(isSettled ? [] : bundles.flat())])];
}

function waitMs(facts: CertificateFacts, now: number, timing: RenewalTiming): number {
  const { current, next, serving, servedForMs } = facts;
  const times = [
    ...[current, next].flatMap((authority) =>
      authority === undefined
        ? []
        : [
            renewalTime(authority.notAfter, timing.authorityLifetimeMs) - now,
            timing.publishedForMs - publishedForMs(facts, authority),
          ],
    ),
    ...(serving === undefined
      ? []
      : [renewalTime(serving.notAfter, timing.servingLifetimeMs) - now, serving.notAfter - now]),
    ...(servedForMs === undefined ? [] : [timing.servedForMs - servedForMs]),
  ];
  // What lies in the past was decided above, or waits for something else.
  return Math.min(LONGEST_WAIT_MS, ...times.filter((time) => time > 0));
}

function publishedForMs(
  { publishedForMs: times }: CertificateFacts,
  { fingerprint }: AuthorityFacts,
): number {
  return times.get(fingerprint) ?? 0;
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  const [first, second] = [new Set(one), new Set(other)];
  return first.size === second.size && [...first].every((element) => second.has(element));
}
