/** The Secret that holds Pullpass's own certificates: its keys, and what the renewal plan needs to know about it. */
import type { WebhookRegistration } from "../core/stored-certificates.ts";
import { isIssuedBy, isKeyOf, notAfterOf, parseBundle, parseLeaf, type KeyPair } from "./certificates.ts";
import type { AuthorityInfo, CertificateState, ServingInfo } from "./plan-renewal.ts";

/** The PEM data of the Secret, not verified. */
export interface CertificateSecret {
  /** The authority that issues serving certificates. */
  readonly current: KeyPair | undefined;
  /** The authority that will replace it. */
  readonly next: KeyPair | undefined;
  /** The certificate of the authority that was replaced. Its key is deleted. */
  readonly previous: string | undefined;
  readonly serving: KeyPair | undefined;
}

export const EMPTY_SECRET: CertificateSecret = {
  current: undefined,
  next: undefined,
  previous: undefined,
  serving: undefined,
};

type SecretData = Readonly<Record<string, string | undefined>>;

/** A certificate without its key gets an empty key, which belongs to no certificate. */
export function parseCertificateSecret(data: SecretData): CertificateSecret {
  const pair = (certificateKey: string, privateKeyKey: string): KeyPair | undefined => {
    const certificate = data[certificateKey];
    return certificate === undefined ? undefined : { certificate, privateKey: data[privateKeyKey] ?? "" };
  };
  return {
    current: pair("ca.crt", "ca.key"),
    next: pair("ca-next.crt", "ca-next.key"),
    previous: data["ca-previous.crt"],
    serving: pair("tls.crt", "tls.key"),
  };
}

/** Every key that Pullpass manages; undefined for those to delete. */
export function formatCertificateSecret({ current, next, previous, serving }: CertificateSecret): SecretData {
  return {
    "ca.crt": current?.certificate,
    "ca.key": current?.privateKey,
    "ca-next.crt": next?.certificate,
    "ca-next.key": next?.privateKey,
    "ca-previous.crt": previous,
    "tls.crt": serving?.certificate,
    "tls.key": serving?.privateKey,
  };
}

/** `names` are the DNS names that the serving certificate must cover. */
export function certificateState(
  secret: CertificateSecret,
  registration: WebhookRegistration | undefined,
  names: readonly string[],
): CertificateState {
  return {
    current: authorityInfo(secret.current),
    next: authorityInfo(secret.next),
    previous: secret.previous === undefined ? undefined : parseLeaf(secret.previous)?.fingerprint256,
    serving: servingInfo(secret, names),
    bundles: registration?.bundles.map((bundle) => [...parseBundle(bundle).keys()]) ?? [],
  };
}

function authorityInfo(pair: KeyPair | undefined): AuthorityInfo | undefined {
  const certificate = pair === undefined ? undefined : parseLeaf(pair.certificate);
  if (pair === undefined || certificate?.ca !== true) return undefined;
  return {
    fingerprint: certificate.fingerprint256,
    notAfter: notAfterOf(certificate),
    hasKey: isKeyOf(pair, certificate),
  };
}

function servingInfo(
  { current, serving }: CertificateSecret,
  names: readonly string[],
): ServingInfo | undefined {
  const certificate = serving === undefined ? undefined : parseLeaf(serving.certificate);
  if (serving === undefined || certificate === undefined) return undefined;
  const issuer = current === undefined ? undefined : parseLeaf(current.certificate);
  return {
    isIssuedByCurrent: issuer !== undefined && isIssuedBy(certificate, issuer),
    isUsable:
      isKeyOf(serving, certificate) && names.every((name) => certificate.checkHost(name) !== undefined),
    notAfter: notAfterOf(certificate),
  };
}

/** The PEM bundle of the authorities with these fingerprints, from the Secret and from what is published now. */
export function bundleOf(
  fingerprints: readonly string[],
  { current, next, previous }: CertificateSecret,
  registration: WebhookRegistration,
): string {
  const bundles = [current?.certificate, next?.certificate, previous, ...registration.bundles];
  const known = new Map(bundles.flatMap((bundle) => [...parseBundle(bundle ?? "")]));
  return fingerprints
    .map((fingerprint) => `${known.get(fingerprint)?.toString().trimEnd() ?? ""}\n`)
    .join("");
}
