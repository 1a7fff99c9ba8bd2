/** Reads certificates by what Node itself brings. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KeyPair } from "./kept-certificates.ts";

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates of a PEM bundle by their SHA-256 fingerprints; what is none is passed over, as API servers do. */
export function readBundle(bundle: string): ReadonlyMap<string, X509Certificate> {
  const certificates = (bundle.match(PEM_CERTIFICATE) ?? []).flatMap((pem) => parse(pem) ?? []);
  return new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate]));
}

/** The first certificate of a PEM text; undefined if there is none. */
export function readLeaf(pem: string): X509Certificate | undefined {
  return parse(pem);
}

export function notAfterOf(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

/** The key is there and is the certificate's own. */
export function isKeyOf({ privateKey }: KeyPair, certificate: X509Certificate): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(privateKey));
  } catch {
    return false;
  }
}

/** `issuer` may issue certificates, and issued this one. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
