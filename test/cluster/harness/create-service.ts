import type { Kubectl } from "./kubectl.ts";

export interface ServiceAddress {
  /** The cluster IP, an address of the loopback range: whoever listens on it serves the service. */
  readonly host: string;
  readonly port: number;
  /** What a serving certificate must be for; the API server checks the first one. */
  readonly dnsNames: readonly string[];
}

export interface ServiceOptions {
  readonly namespace: string;
  readonly name: string;
  /** Above 1023, so that a test may listen on it without root. */
  readonly port?: number;
}

interface StoredService {
  readonly spec: { readonly clusterIP: string };
}

/**
 * Creates a Service that the API server reaches as it reaches any other: it dials the cluster IP. No proxy is
 * needed, because the cluster IP already is an address of this machine.
 */
export async function createService(
  kubectl: Kubectl,
  { namespace, name, port = 8443 }: ServiceOptions,
): Promise<ServiceAddress> {
  const service = await kubectl.create<StoredService>({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { ports: [{ port, protocol: "TCP" }] },
  });
  const dnsNames = [
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.cluster.local`,
    `${name}.${namespace}`,
  ];
  return { host: service.spec.clusterIP, port, dnsNames };
}
