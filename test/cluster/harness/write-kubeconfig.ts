import { writeFile } from "node:fs/promises";
import type { KeyPair } from "./certificates.ts";

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
