/** Makes a certificate on the spot, for a machine without a cluster. */
import "reflect-metadata";
import { isIP } from "node:net";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { LoadedCertificate } from "./files.ts";
import { ALGORITHM, generateKeys, keyPair, validity } from "./key-pair.ts";

const LIFETIME_MS = 365 * 24 * 60 * 60 * 1000;

/**
 * A certificate that signs itself, so that clients trust it by being given it: `curl --cacert`. It holds `names` (DNS
 * names and IP addresses) and lasts a year from `now`; the key never leaves the process.
 */
export async function makeSelfSignedCertificate(
  names: readonly string[],
  now: Date,
): Promise<LoadedCertificate> {
  const keys = await generateKeys();
  const period = validity(now, now.getTime() + LIFETIME_MS);
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
  return { ...(await keyPair(certificate, keys.privateKey)), notAfter: period.notAfter };
}
