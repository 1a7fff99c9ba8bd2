/** Turns what the cluster holds into what the plan decides by. */
import type { WebhookRegistration } from "../core/stored-certificates.ts";
import type { KeptCertificates, KeyPair } from "./kept-certificates.ts";
import type { AuthorityFacts, CertificateFacts, ServingFacts } from "./plan-renewal.ts";
import { isIssuedBy, isKeyOf, notAfterOf, readBundle, readLeaf } from "./read-certificates.ts";

export type StateFacts = Omit<CertificateFacts, "publishedForMs" | "servedForMs">;

/** `names` are those that the serving certificate has to be for. */
export function certificateFacts(
  kept: KeptCertificates,
  registration: WebhookRegistration | undefined,
  names: readonly string[],
): StateFacts {
  return {
    current: authorityFacts(kept.current),
    next: authorityFacts(kept.next),
    previous: kept.previous === undefined ? undefined : readLeaf(kept.previous)?.fingerprint256,
    serving: servingFacts(kept, names),
    bundles: registration?.bundles.map((bundle) => [...readBundle(bundle).keys()]) ?? [],
  };
}

function authorityFacts(pair: KeyPair | undefined): AuthorityFacts | undefined {
  const certificate = pair === undefined ? undefined : readLeaf(pair.certificate);
  if (pair === undefined || certificate?.ca !== true) return undefined;
  return {
    fingerprint: certificate.fingerprint256,
    notAfter: notAfterOf(certificate),
    hasKey: isKeyOf(pair, certificate),
  };
}

function servingFacts(
  { current, serving }: KeptCertificates,
  names: readonly string[],
): ServingFacts | undefined {
  const certificate = serving === undefined ? undefined : readLeaf(serving.certificate);
  if (serving === undefined || certificate === undefined) return undefined;
  const issuer = current === undefined ? undefined : readLeaf(current.certificate);
  return {
    isOfCurrent: issuer !== undefined && isIssuedBy(certificate, issuer),
    isFitting:
      isKeyOf(serving, certificate) && names.every((name) => certificate.checkHost(name) !== undefined),
    notAfter: notAfterOf(certificate),
  };
}

/** The PEM texts of these fingerprints, from wherever they are known, as one bundle. */
export function bundleOf(
  fingerprints: readonly string[],
  { current, next, previous }: KeptCertificates,
  registration: WebhookRegistration,
): string {
  const texts = [current?.certificate, next?.certificate, previous, ...registration.bundles];
  const known = new Map(texts.flatMap((text) => [...readBundle(text ?? "")]));
  return fingerprints
    .map((fingerprint) => `${known.get(fingerprint)?.toString().trimEnd() ?? ""}\n`)
    .join("");
}
