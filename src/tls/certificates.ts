/** Parses certificates with Node's own X.509 support, and decides whether API servers trust the one that is served. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { WebhookRegistration } from "../core/stored-certificates.ts";

/** Both in PEM. The certificate may be followed by its chain. */
export interface KeyPair {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A pair whose key belongs to its certificate. */
export interface LoadedCertificate extends KeyPair {
  readonly notAfter: Date;
  /** When the certificate of the issuing authority expires, if Pullpass manages that authority. */
  readonly authorityNotAfter?: Date;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates of a PEM bundle by SHA-256 fingerprint. What does not parse is skipped, as API servers do. */
export function parseBundle(bundle: string): ReadonlyMap<string, X509Certificate> {
  const certificates = (bundle.match(PEM_CERTIFICATE) ?? []).flatMap((pem) => parseLeaf(pem) ?? []);
  return new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate]));
}

/** The first certificate in `pem`; undefined if it does not parse. */
export function parseLeaf(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

/** As Unix time in milliseconds. */
export function notAfterOf(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

/** Whether the private key parses and belongs to the certificate. */
export function isKeyOf({ privateKey }: KeyPair, certificate: X509Certificate): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(privateKey));
  } catch {
    return false;
  }
}

/** Whether `issuer` is an authority and signed this certificate. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/**
 * Whether a client that trusts `bundle` trusts a server that presents `served` at the time `now`. Both are PEM; `served` starts with
 * the server's certificate, and intermediates follow in any order. An authority of the bundle has issued the certificate or one of the
 * intermediates that lead to it, or the certificate itself is in the bundle. None of them has expired: Go asks that of each, roots
 * included.
 */
export function chainsTo(served: string, bundle: string, now: number): boolean {
  const isValid = (certificate: X509Certificate): boolean => now < notAfterOf(certificate);
  const [leaf, ...others] = parseBundle(served).values();
  if (leaf === undefined || !isValid(leaf)) return false;
  const trusted = parseBundle(bundle);
  if (trusted.has(leaf.fingerprint256)) return true;
  const authorities = [...trusted.values()].filter(isValid);
  const intermediates = others.filter(isValid);
  const seen = new Set<X509Certificate>();
  let reached = [leaf];
  while (reached.length > 0) {
    if (reached.some((one) => authorities.some((authority) => isIssuedBy(one, authority)))) return true;
    for (const one of reached) seen.add(one);
    const current = reached;
    reached = intermediates.filter((next) => !seen.has(next) && current.some((one) => isIssuedBy(one, next)));
  }
  return false;
}

/*
 * The first row that holds decides.
 *
 * webhook configuration | served  | chains to the bundle of each webhook | reason
 * --------------------- | ------- | ------------------------------------ | -----------------
 * not known yet         |         |                                      | it is not known
 *                       | none    |                                      | there is none
 *                       | expired |                                      | it has expired
 * missing: nobody calls |         |                                      |
 *                       |         | yes                                  |
 *                       |         | no                                   | it does not chain
 */

/** Why API servers would not trust `served` at the time `now`, as `/readyz` reports it; empty if they would. */
export function distrustReasons(
  served: LoadedCertificate | undefined,
  registration: WebhookRegistration | "missing" | undefined,
  webhookName: string,
  now: number,
): readonly string[] {
  const configuration = `MutatingWebhookConfiguration ${webhookName}`;
  if (registration === undefined) return [`the ${configuration} is not known yet`];
  if (served === undefined) return ["there is no serving certificate yet"];
  if (now >= served.notAfter.getTime()) return ["the serving certificate has expired"];
  const bundles = registration === "missing" ? [] : registration.bundles;
  if (bundles.every((bundle) => chainsTo(served.certificate, bundle, now))) return [];
  return [`the serving certificate does not chain to the caBundle of the ${configuration}`];
}
