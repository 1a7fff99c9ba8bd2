/** Serving certificates from files, as cert-manager, a mounted Secret or certs/make.sh leave them. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";

export interface CertificateFiles {
  readonly certificatePath: string;
  readonly keyPath: string;
}

/** PEM texts, and when the certificate ends. */
export interface LoadedCertificate {
  readonly certificate: string;
  readonly privateKey: string;
  readonly notAfter: Date;
  /** When the authority that issued it ends, where that is ours. */
  readonly authorityNotAfter?: Date;
}

/** Thrown where the files hold no certificate and key that belong together; names the file. */
export class UnusableCertificateError extends Error {
  override readonly name = "UnusableCertificateError";
}

/**
 * Reads a certificate (with its chain, the leaf first) and its key.
 *
 * @throws UnusableCertificateError if a file cannot be read or parsed, or the key is another certificate's, as it may be
 * for a moment while two files are written one after the other.
 */
export function readCertificate({ certificatePath, keyPath }: CertificateFiles): LoadedCertificate {
  const certificate = attempt(() => readFileSync(certificatePath, "utf8"), "cannot read the certificate");
  const privateKey = attempt(() => readFileSync(keyPath, "utf8"), "cannot read the key");
  const leaf = attempt(() => new X509Certificate(certificate), `${certificatePath} holds no PEM certificate`);
  const key = attempt(
    () => createPrivateKey(privateKey),
    `${keyPath} holds no PEM private key without a passphrase`,
  );
  if (!leaf.checkPrivateKey(key)) {
    throw new UnusableCertificateError(
      `the key in ${keyPath} is not that of the certificate in ${certificatePath}`,
    );
  }
  return { certificate, privateKey, notAfter: new Date(leaf.validTo) };
}

/** OpenSSL's own words are of no help here, and a key's parser is not asked to explain what it saw. */
function attempt<T>(action: () => T, fault: string): T {
  try {
    return action();
  } catch (error) {
    const isFileError = error instanceof Error && "syscall" in error;
    throw new UnusableCertificateError(isFileError ? `${fault}: ${error.message}` : fault, { cause: error });
  }
}
