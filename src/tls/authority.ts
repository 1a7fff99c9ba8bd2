/** Makes certificate authorities, and certificates by them. The library is loaded only by the replica that does it. */
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
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
import type { KeyPair } from "./kept-certificates.ts";
import { ALGORITHM, generateKeys, keyPair, validity } from "./key-pair.ts";

/** An authority for serving certificates and for nothing else, from `now` on for `lifetimeMs`. */
export async function makeAuthority(lifetimeMs: number, now: Date): Promise<KeyPair> {
  const keys = await generateKeys();
  const serialNumber = randomSerial();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber,
    // Another name for each: verifiers look for the issuer by its name.
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
  return keyPair(certificate, keys.privateKey);
}

/** A certificate for servers of these DNS names. It ends with its authority at the latest. */
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
  return keyPair(certificate, keys.privateKey);
}

/** 120 random bits; the first byte keeps the number positive and of the same length. */
function randomSerial(): string {
  return `01${randomBytes(15).toString("hex")}`;
}
