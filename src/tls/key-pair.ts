/** What all certificates that Pullpass makes have in common: their keys, their clock, their form. */
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { PemConverter, type X509Certificate } from "@peculiar/x509";
import type { KeyPair } from "./kept-certificates.ts";

export const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** The clocks of two machines differ. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;

export function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

export function validity(now: Date, notAfter: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(now.getTime() - CLOCK_SKEW_MS), notAfter: new Date(notAfter) };
}

/** As PEM texts. */
export async function keyPair(
  certificate: X509Certificate,
  privateKey: webcrypto.CryptoKey,
): Promise<KeyPair> {
  const key = await webcrypto.subtle.exportKey("pkcs8", privateKey);
  return {
    certificate: `${certificate.toString("pem")}\n`,
    privateKey: `${PemConverter.encode(key, "PRIVATE KEY")}\n`,
  };
}
