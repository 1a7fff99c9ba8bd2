/** The certificates of Pullpass as the cluster holds them. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import type { Transport } from "../../../src/kube/transport.ts";
import { PULLPASS_NAMESPACE } from "./install-pullpass.ts";
import type { Kubectl } from "./kubectl.ts";
import type { PodList } from "./pods.ts";

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

/** What each replica of the chart serves now. The test has to be in the network of pods. */
export async function servedFingerprints(kubectl: Kubectl): Promise<readonly string[]> {
  const { items } = await kubectl.json<PodList>(
    ...["get", "pods", `--namespace=${PULLPASS_NAMESPACE}`, "--selector=app.kubernetes.io/component=webhook"],
  );
  return Promise.all(items.map(({ status }) => servedAt(status?.podIP ?? "")));
}

async function servedAt(host: string): Promise<string> {
  // Whom it is trusted by is not asked here.
  const socket = connect({ host, port: 8443, rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerX509Certificate()?.fingerprint256 ?? "";
  } finally {
    socket.destroy();
  }
}

export interface Handshakes {
  /** How many there were so far. */
  count(): number;
  /** Why a replica was not trusted, once for each time. */
  stop(): Promise<readonly string[]>;
}

const INTERVAL_MS = 50;

/** Asks each host again and again for its certificate, and verifies it by the bundle that is published at that time. */
export function startHandshakes(client: Transport, hosts: readonly string[], port = 8443): Handshakes {
  const faults: string[] = [];
  let count = 0;
  let shouldStop = false;
  const shakeHands = async (host: string, ca: string): Promise<void> => {
    const socket = connect({ host, port, ca, servername: "pullpass.pullpass.svc" });
    try {
      await once(socket, "secureConnect");
    } catch (error) {
      faults.push(`${host}: ${String(error)}`);
    } finally {
      socket.destroy();
      count++;
    }
  };
  const repeat = async (): Promise<void> => {
    while (!shouldStop) {
      for (const pem of await publishedPem(client)) {
        await Promise.all(hosts.map((host) => shakeHands(host, pem)));
      }
      await sleep(INTERVAL_MS);
    }
  };
  const running = repeat();
  return {
    count: () => count,
    async stop() {
      shouldStop = true;
      await running;
      return faults;
    },
  };
}
