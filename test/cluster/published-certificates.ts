/** The certificates of Pullpass as the cluster holds them. */
import { X509Certificate } from "node:crypto";
import { PULLPASS_NAMESPACE } from "./install-pullpass.ts";
import type { Kubectl } from "./kubectl.ts";

export interface CertificateSecret {
  readonly resourceVersion: string;
  readonly serving: X509Certificate | undefined;
  readonly authority: X509Certificate | undefined;
}

/** Fails if there is no Secret. */
export async function readCertificateSecret(kubectl: Kubectl): Promise<CertificateSecret> {
  const { metadata, data } = await kubectl.json<{
    readonly metadata: { readonly resourceVersion: string };
    readonly data: Readonly<Record<string, string>>;
  }>("get", "secret", "pullpass-tls", `--namespace=${PULLPASS_NAMESPACE}`);
  const certificate = (key: string) => {
    const encoded = data[key];
    return encoded === undefined ? undefined : new X509Certificate(Buffer.from(encoded, "base64"));
  };
  return {
    resourceVersion: metadata.resourceVersion,
    serving: certificate("tls.crt"),
    authority: certificate("ca.crt"),
  };
}

/** The PEM of each webhook's bundle. */
export async function publishedPem(kubectl: Kubectl): Promise<readonly string[]> {
  const { webhooks } = await kubectl.json<{
    readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
  }>("get", "mutatingwebhookconfiguration", "pullpass");
  return webhooks.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? "", "base64").toString());
}

/** The fingerprints in each webhook's bundle. */
export async function publishedBundles(kubectl: Kubectl): Promise<readonly (readonly string[])[]> {
  const pems = await publishedPem(kubectl);
  return pems.map((pem) =>
    (pem.match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g) ?? []).map(
      (one) => new X509Certificate(one).fingerprint256,
    ),
  );
}
