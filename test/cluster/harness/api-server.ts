import { join } from "node:path";
import type { KeyPair } from "./certificates.ts";
import { runDaemon, type Daemon } from "./run-daemon.ts";
import { sendRequest } from "./send-request.ts";

export interface ApiServerOptions {
  readonly program: string;
  readonly host: string;
  readonly port: number;
  readonly etcdUrl: string;
  readonly serviceRange: string;
  /** Holds ca.crt, apiserver.crt, apiserver.key, kubelet-client.crt, kubelet-client.key, service-account.key. */
  readonly certificateDirectory: string;
  readonly authorityPem: string;
  readonly admin: KeyPair;
  readonly logDirectory: string;
  /** Flags that come last, and so win over the ones here where kube-apiserver takes the last. */
  readonly extraFlags: readonly string[];
}

export async function runApiServer(options: ApiServerOptions): Promise<Daemon> {
  const { program, host, port, certificateDirectory, logDirectory, authorityPem, admin } = options;
  const credentials = { ca: authorityPem, cert: admin.certificatePem, key: admin.keyPem };
  return runDaemon({
    name: "kube-apiserver",
    command: program,
    args: apiServerFlags(options, (name) => join(certificateDirectory, name)),
    logDirectory,
    isReady: async () =>
      (await sendRequest(`https://${host}:${String(port)}/readyz`, credentials)).status === 200,
  });
}

function apiServerFlags(options: ApiServerOptions, file: (name: string) => string): readonly string[] {
  return [
    `--bind-address=${options.host}`,
    `--advertise-address=${options.host}`,
    `--secure-port=${String(options.port)}`,
    `--etcd-servers=${options.etcdUrl}`,
    `--service-cluster-ip-range=${options.serviceRange}`,
    // An endpoint may not be a loopback address, so that the API server must not try to make one for itself.
    "--endpoint-reconciler-type=none",
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    `--client-ca-file=${file("ca.crt")}`,
    `--tls-cert-file=${file("apiserver.crt")}`,
    `--tls-private-key-file=${file("apiserver.key")}`,
    `--kubelet-certificate-authority=${file("ca.crt")}`,
    `--kubelet-client-certificate=${file("kubelet-client.crt")}`,
    `--kubelet-client-key=${file("kubelet-client.key")}`,
    // The node's name is no DNS name.
    "--kubelet-preferred-address-types=InternalIP",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-signing-key-file=${file("service-account.key")}`,
    `--service-account-key-file=${file("service-account.key")}`,
    // Without it a stop waits for the open watches of every component.
    "--shutdown-watch-termination-grace-period=1s",
    "--allow-privileged=true",
    "--profiling=false",
    ...options.extraFlags,
  ];
}
