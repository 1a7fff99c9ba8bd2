import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR_MS = 3_600_000;

export interface KeyPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** Kubernetes reads these as the groups of a client. */
  readonly organizations?: readonly string[];
  /** DNS names and IP addresses that a server answers for. */
  readonly hosts?: readonly string[];
  /** Default: in a week. */
  readonly notAfter?: Date;
}

/** A certificate authority that lives as long as one cluster. */
export interface Authority {
  readonly pem: string;
  readonly keyPem: string;
  /** Issues a certificate for both ends of a connection, because most components of a cluster are both. */
  issue(request: CertificateRequest): Promise<KeyPair>;
}

export async function createAuthority(commonName: string): Promise<Authority> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      ...validity(),
      name: `CN=${commonName}`,
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return {
    pem: pemOf(certificate),
    keyPem: await privateKeyPem(keys.privateKey),
    issue: (request) => issue(certificate, keys.privateKey, request),
  };
}

async function issue(
  issuer: x509.X509Certificate,
  signingKey: webcrypto.CryptoKey,
  { commonName, organizations = [], hosts = [], ...request }: CertificateRequest,
): Promise<KeyPair> {
  const keys = await generateKeys();
  const names = hosts.map((host) => ({
    type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const),
    value: host,
  }));
  const certificate = await x509.X509CertificateGenerator.create(
    {
      ...validity(),
      ...request,
      subject: [{ CN: [commonName] }, ...organizations.map((name) => ({ O: [name] }))],
      issuer: issuer.subject,
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey, false, webcrypto),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
      ],
    },
    webcrypto,
  );
  return { certificatePem: pemOf(certificate), keyPem: await privateKeyPem(keys.privateKey) };
}

export interface KeyPairFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export async function writeKeyPair(directory: string, name: string, pair: KeyPair): Promise<KeyPairFiles> {
  await mkdir(directory, { recursive: true });
  const files = { certificateFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) };
  await writeFile(files.certificateFile, pair.certificatePem);
  await writeFile(files.keyFile, pair.keyPem, { mode: 0o600 });
  return files;
}

/** Valid since an hour ago, so that a clock that is set back a little in a test breaks nothing. */
function validity(): { serialNumber: string; notBefore: Date; notAfter: Date } {
  const now = Date.now();
  // The first bit of a serial number must not be set, or the number would be negative.
  const serialNumber = `01${randomBytes(8).toString("hex")}`;
  return { serialNumber, notBefore: new Date(now - HOUR_MS), notAfter: new Date(now + 7 * 24 * HOUR_MS) };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

export interface KubeconfigFields {
  readonly server: string;
  readonly authorityPem: string;
  /** A client certificate, a token, or a credential plugin. */
  readonly client: KeyPair | { readonly token: string } | { readonly exec: object };
}

/** Writes a kubeconfig that holds all it needs, so that it can be copied anywhere. JSON is YAML too. */
export async function writeKubeconfig(
  file: string,
  { server, authorityPem, client }: KubeconfigFields,
): Promise<void> {
  const base64 = (pem: string) => Buffer.from(pem).toString("base64");
  const name = "pullpass";
  const user =
    "certificatePem" in client
      ? {
          "client-certificate-data": base64(client.certificatePem),
          "client-key-data": base64(client.keyPem),
        }
      : client;
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "certificate-authority-data": base64(authorityPem) } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "default" } }],
    "current-context": name,
  };
  await writeFile(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
