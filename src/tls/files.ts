/** Reads the serving certificate from files, as cert-manager, a mounted Secret or certs/make.sh provide them. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { notAfterOf, type LoadedCertificate } from "./certificates.ts";

export interface CertificateFiles {
  readonly certificatePath: string;
  readonly keyPath: string;
}

/** The files do not hold a certificate and the key that belongs to it. The message names the file. */
export class UnusableCertificateError extends Error {
  override readonly name = "UnusableCertificateError";
}

/**
 * Reads a certificate (with its chain, the leaf first) and its key.
 *
 * @throws UnusableCertificateError if a file cannot be read or parsed, or if the key belongs to another certificate, which
 * happens for a moment while the two files are replaced one after the other.
 */
export function readCertificate({ certificatePath, keyPath }: CertificateFiles): LoadedCertificate {
  const certificate = attempt(() => readFileSync(certificatePath, "utf8"), "cannot read the certificate");
  const privateKey = attempt(() => readFileSync(keyPath, "utf8"), "cannot read the key");
  const leaf = attempt(
    () => new X509Certificate(certificate),
    `${certificatePath} does not contain a PEM certificate`,
  );
  const key = attempt(
    () => createPrivateKey(privateKey),
    `${keyPath} does not contain an unencrypted PEM private key`,
  );
  if (!leaf.checkPrivateKey(key)) {
    throw new UnusableCertificateError(
      `the key in ${keyPath} does not belong to the certificate in ${certificatePath}`,
    );
  }
  return { certificate, privateKey, notAfter: new Date(notAfterOf(leaf)) };
}

/** The messages of OpenSSL do not help here, and one about a key must not quote what was parsed. */
function attempt<T>(action: () => T, fault: string): T {
  try {
    return action();
  } catch (error) {
    const isFileError = error instanceof Error && "syscall" in error;
    throw new UnusableCertificateError(isFileError ? `${fault}: ${error.message}` : fault, { cause: error });
  }
}
