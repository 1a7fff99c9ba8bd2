import { generateKeyPairSync } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  createAuthority,
  writeKeyPair,
  writeKubeconfig,
  type Authority,
  type KeyPair,
} from "./certificates.ts";
import type { ClusterNetwork } from "./claim-network.ts";
import { createKubectl, waitForDefaultServiceAccount, type Kubectl } from "./kubectl.ts";
import type { ControlPlaneParts } from "./parts.ts";
import { runDaemon, type Daemon } from "./run-daemon.ts";
import { sendRequest } from "../../send-request.ts";
import type { Teardown } from "./teardown.ts";

export interface EtcdOptions {
  readonly program: string;
  readonly host: string;
  readonly directory: string;
  readonly logDirectory: string;
}

export interface Etcd {
  readonly url: string;
  readonly daemon: Daemon;
}

export async function runEtcd({ program, host, directory, logDirectory }: EtcdOptions): Promise<Etcd> {
  const url = `http://${host}:2379`;
  const peerUrl = `http://${host}:2380`;
  const daemon = await runDaemon({
    name: "etcd",
    command: program,
    args: [
      `--data-dir=${join(directory, "etcd")}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      // The data lives no longer than the machine is up. Nobody else votes, so that the election need not wait long.
      "--unsafe-no-fsync",
      "--heartbeat-interval=50",
      "--election-timeout=250",
      "--log-level=warn",
    ],
    logDirectory,
    isReady: async () => (await sendRequest(`${url}/health`)).status === 200,
  });
  return { url, daemon };
}

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

export const API_SERVER_PORT = 6443;

export interface ControlPlane {
  readonly server: string;
  readonly authority: Authority;
  /** Of a member of system:masters. */
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  readonly apiServerLog: string;
  readonly controllerManagerLog: string;
  readonly etcdUrl: string;
  /** Writes a kubeconfig for any user, for instance one without rights. */
  kubeconfigFor(user: string, groups?: readonly string[]): Promise<string>;
}

/** One that is its owner's alone. */
export interface OwnControlPlane extends ControlPlane {
  /** Stops the API server and starts it again, with other extra flags where given; the cluster's state stays. */
  restartApiServer(extraFlags?: readonly string[]): Promise<void>;
  stopApiServer(): Promise<void>;
}

export async function startControlPlane(
  parts: ControlPlaneParts,
  network: ClusterNetwork,
  apiServerFlags: readonly string[],
  teardown: Teardown,
): Promise<OwnControlPlane> {
  const { directory } = network;
  const logDirectory = join(directory, "log");
  const certificateDirectory = join(directory, "pki");
  const server = `https://${network.address(3)}:${String(API_SERVER_PORT)}`;

  const etcdRun = runEtcd({ program: parts.etcd, host: network.address(2), directory, logDirectory });
  const [etcd, authority] = await Promise.all([etcdRun, createAuthority("pullpass-test")]);
  teardown.add(() => etcd.daemon.stop());
  const admin = await writeCertificates(authority, certificateDirectory, [
    network.address(3),
    network.address(129),
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
  ]);

  const kubeconfigFor = async (user: string, groups: readonly string[] = []) => {
    const file = join(directory, `${user.replaceAll(/[^\w.-]/g, "_")}.kubeconfig`);
    const client = await authority.issue({ commonName: user, organizations: groups });
    await writeKubeconfig(file, { server, authorityPem: authority.pem, client });
    return file;
  };
  const kubeconfig = join(directory, "kubeconfig");
  await writeKubeconfig(kubeconfig, { server, authorityPem: authority.pem, client: admin });

  const startApiServer = (extraFlags: readonly string[]) =>
    runApiServer({
      program: parts.apiServer,
      host: network.address(3),
      port: API_SERVER_PORT,
      etcdUrl: etcd.url,
      serviceRange: network.serviceRange,
      certificateDirectory,
      authorityPem: authority.pem,
      admin,
      logDirectory,
      extraFlags,
    });
  let apiServer = await startApiServer(apiServerFlags);
  teardown.add(() => apiServer.stop());

  const controllerManager = await runDaemon({
    name: "kube-controller-manager",
    command: parts.controllerManager,
    args: controllerManagerFlags(
      network.address(4),
      await kubeconfigFor("system:kube-controller-manager"),
      certificateDirectory,
    ),
    logDirectory,
  });
  teardown.add(() => controllerManager.stop());

  const kubectl = createKubectl({
    program: parts.kubectl,
    kubeconfig,
    directory,
    api: { server, authorityPem: authority.pem, admin },
  });
  await waitForDefaultServiceAccount(kubectl, "default");
  return {
    server,
    authority,
    kubeconfig,
    kubectl,
    apiServerLog: apiServer.logFile,
    controllerManagerLog: controllerManager.logFile,
    etcdUrl: etcd.url,
    kubeconfigFor,
    stopApiServer: () => apiServer.stop(),
    async restartApiServer(extraFlags = apiServerFlags) {
      await apiServer.stop();
      apiServer = await startApiServer(extraFlags);
    },
  };
}

/** Writes what the API server and the controller manager read, and returns the admin's key. */
async function writeCertificates(
  authority: Authority,
  directory: string,
  hosts: readonly string[],
): Promise<KeyPair> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "ca.crt"), authority.pem);
  await writeFile(join(directory, "ca.key"), authority.keyPem, { mode: 0o600 });
  await writeKeyPair(directory, "apiserver", await authority.issue({ commonName: "kube-apiserver", hosts }));
  const admin = await authority.issue({ commonName: "pullpass-admin", organizations: ["system:masters"] });
  await writeKeyPair(directory, "kubelet-client", admin);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serviceAccountKey = privateKey.export({ type: "sec1", format: "pem" });
  await writeFile(join(directory, "service-account.key"), serviceAccountKey, { mode: 0o600 });
  return admin;
}

function controllerManagerFlags(
  host: string,
  kubeconfig: string,
  certificateDirectory: string,
): readonly string[] {
  const file = (name: string) => join(certificateDirectory, name);
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    `--bind-address=${host}`,
    `--cert-dir=${file("controller-manager")}`,
    "--leader-elect=false",
    // Each controller then is a user of its own, as on a real cluster, and that is what a webhook sees.
    "--use-service-account-credentials",
    // It makes an account for every controller before it starts the last one; the default rate takes seconds for that.
    "--kube-api-qps=500",
    "--kube-api-burst=500",
    `--service-account-private-key-file=${file("service-account.key")}`,
    `--root-ca-file=${file("ca.crt")}`,
    `--cluster-signing-cert-file=${file("ca.crt")}`,
    `--cluster-signing-key-file=${file("ca.key")}`,
    "--profiling=false",
  ];
}
