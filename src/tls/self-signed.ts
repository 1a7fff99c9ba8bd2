/** Makes a certificate on the spot, for a machine without a cluster. */
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { LoadedCertificate } from "./files.ts";

const LIFETIME_MS = 365 * 24 * 60 * 60 * 1000;
/** The clocks of two machines differ. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/**
 * A certificate that signs itself, so that clients trust it by being given it: `curl --cacert`. It holds `names` (DNS
 * names and IP addresses) and lasts a year from `now`; the key never leaves the process.
 */
export async function makeSelfSignedCertificate(
  names: readonly string[],
  now: Date,
): Promise<LoadedCertificate> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const notAfter = new Date(now.getTime() + LIFETIME_MS);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=Pullpass, O=self-signed",
    notBefore: new Date(now.getTime() - CLOCK_SKEW_MS),
    notAfter,
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
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificate: certificate.toString("pem"),
    privateKey: PemConverter.encode(key, "PRIVATE KEY"),
    notAfter,
  };
}
