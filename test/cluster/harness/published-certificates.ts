/** The certificates of Pullpass as the cluster holds them. */
import { X509Certificate } from "node:crypto";
import type { Transport } from "../../../src/kube/transport.ts";
import { PULLPASS_NAMESPACE } from "./install-pullpass.ts";

export interface CertificateSecret {
  readonly resourceVersion: string;
  readonly serving: X509Certificate | undefined;
  readonly authority: X509Certificate | undefined;
}

/** Fails if there is no Secret. */
export async function readCertificateSecret(
  client: Transport,
  name = "pullpass-tls",
): Promise<CertificateSecret> {
  const path = `/api/v1/namespaces/${PULLPASS_NAMESPACE}/secrets/${name}`;
  const { metadata, data } = (await client.request({ method: "GET", path })) as unknown as {
    readonly metadata: { readonly resourceVersion: string };
    readonly data: Readonly<Record<string, string>>;
  };
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
export async function publishedPem(client: Transport): Promise<readonly string[]> {
  const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pullpass";
  const { webhooks } = (await client.request({ method: "GET", path })) as unknown as {
    readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
  };
  return webhooks.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? "", "base64").toString());
}

/** The fingerprints in each webhook's bundle. */
export async function publishedBundles(client: Transport): Promise<readonly (readonly string[])[]> {
  const pems = await publishedPem(client);
  return pems.map((pem) =>
    (pem.match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g) ?? []).map(
      (one) => new X509Certificate(one).fingerprint256,
    ),
  );
}
