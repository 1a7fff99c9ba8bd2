import { generateKeyPairSync } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runApiServer } from "./api-server.ts";
import { createAuthority, writeKeyPair, type Authority, type KeyPair } from "./certificates.ts";
import type { ClusterNetwork } from "./claim-network.ts";
import { runEtcd } from "./etcd.ts";
import { waitForDefaultServiceAccount } from "./create-namespace.ts";
import { createKubectl, type Kubectl } from "./kubectl.ts";
import type { ControlPlaneParts } from "./parts.ts";
import { runDaemon } from "./run-daemon.ts";
import type { Teardown } from "./teardown.ts";
import { writeKubeconfig } from "./write-kubeconfig.ts";

export const API_SERVER_PORT = 6443;

export interface ControlPlane {
  readonly server: string;
  readonly authority: Authority;
  /** Of a member of system:masters. */
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  readonly apiServerLog: string;
  readonly controllerManagerLog: string;
  /** Stops the API server and starts it again, with other extra flags where given; the cluster's state stays. */
  restartApiServer(extraFlags?: readonly string[]): Promise<void>;
  stopApiServer(): Promise<void>;
  /** Writes a kubeconfig for any user, for instance one without rights. */
  kubeconfigFor(user: string, groups?: readonly string[]): Promise<string>;
}

export async function startControlPlane(
  parts: ControlPlaneParts,
  network: ClusterNetwork,
  apiServerFlags: readonly string[],
  teardown: Teardown,
): Promise<ControlPlane> {
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

  const kubectl = createKubectl(parts.kubectl, kubeconfig, directory);
  await waitForDefaultServiceAccount(kubectl, "default");
  return {
    server,
    authority,
    kubeconfig,
    kubectl,
    apiServerLog: apiServer.logFile,
    controllerManagerLog: controllerManager.logFile,
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
