/**
 * Issues certificates. The only importer of @peculiar/x509, which costs 30 MB: import this file dynamically, since most
 * replicas never issue one.
 */
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { KeyPair, LoadedCertificate } from "./certificates.ts";

export const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Clients whose clocks are behind accept a new certificate at once. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;
const SELF_SIGNED_LIFETIME_MS = 365 * 24 * 60 * 60 * 1000;

/** Makes an authority that may issue serving certificates, but no other authorities. */
export async function makeAuthority(lifetimeMs: number, now: Date): Promise<KeyPair> {
  const keys = await generateKeys();
  const serialNumber = randomSerial();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber,
    // Each authority has a different name, because verifiers look up the issuer by name.
    name: `CN=Pullpass CA ${serialNumber.slice(2, 10)}, O=Pullpass`,
    ...validity(now, now.getTime() + lifetimeMs),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return toPem(certificate, keys.privateKey);
}

/** Issues a serving certificate for these DNS names. It expires with its authority at the latest. */
export async function issueServing(
  authority: KeyPair,
  names: readonly string[],
  lifetimeMs: number,
  now: Date,
): Promise<KeyPair> {
  const issuer = new X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey(
    "pkcs8",
    PemConverter.decodeFirst(authority.privateKey),
    ALGORITHM,
    false,
    ["sign"],
  );
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: "CN=Pullpass, O=Pullpass",
    issuer: issuer.subject,
    ...validity(now, Math.min(now.getTime() + lifetimeMs, issuer.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names.map((name) => ({ type: "dns", value: name }))),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return toPem(certificate, keys.privateKey);
}

/**
 * Makes a self-signed serving certificate for DNS names and IP addresses, valid for a year. Clients trust it when they
 * are given the certificate itself, as with `curl --cacert`.
 */
export async function makeSelfSignedCertificate(
  names: readonly string[],
  now: Date,
): Promise<LoadedCertificate> {
  const keys = await generateKeys();
  const period = validity(now, now.getTime() + SELF_SIGNED_LIFETIME_MS);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=Pullpass, O=self-signed",
    ...period,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? ("dns" as const) : ("ip" as const), value: name })),
      ),
    ],
  });
  return { ...(await toPem(certificate, keys.privateKey)), notAfter: period.notAfter };
}

export function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

export function validity(now: Date, notAfter: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(now.getTime() - CLOCK_SKEW_MS), notAfter: new Date(notAfter) };
}

export async function toPem(certificate: X509Certificate, privateKey: webcrypto.CryptoKey): Promise<KeyPair> {
  const key = await webcrypto.subtle.exportKey("pkcs8", privateKey);
  return {
    certificate: `${certificate.toString("pem")}\n`,
    privateKey: `${PemConverter.encode(key, "PRIVATE KEY")}\n`,
  };
}

/** 120 random bits. The first byte keeps the number positive and of constant length. */
function randomSerial(): string {
  return `01${randomBytes(15).toString("hex")}`;
}
