import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runDaemon, type Daemon } from "./run-daemon.ts";
import { sendRequest } from "./send-request.ts";

export interface KubeProxyOptions {
  readonly program: string;
  readonly kubeconfig: string;
  readonly nodeName: string;
  /** Where it tells its health. */
  readonly host: string;
  readonly directory: string;
  readonly logDirectory: string;
}

/** Routes Services to their pods, in the network namespace of this process; so that has to be one of its own. */
export async function runKubeProxy(options: KubeProxyOptions): Promise<Daemon> {
  const { program, kubeconfig, nodeName, host, directory, logDirectory } = options;
  const healthAddress = `${host}:10256`;
  const configFile = join(directory, "kube-proxy.json");
  const configuration = {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig },
    hostnameOverride: nodeName,
    healthzBindAddress: healthAddress,
    metricsBindAddress: `${host}:10249`,
    mode: "iptables",
    // The API server's own requests leave with the address of a Service, and have to come back.
    iptables: { masqueradeAll: true, minSyncPeriod: "0s", syncPeriod: "30s" },
    detectLocalMode: "ClusterCIDR",
    clusterCIDR: `${host.replace(/\.\d+$/, ".0")}/24`,
    // These would change the machine.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
  await writeFile(configFile, JSON.stringify(configuration));
  return runDaemon({
    name: "kube-proxy",
    command: program,
    args: [`--config=${configFile}`],
    logDirectory,
    isReady: async () => (await sendRequest(`http://${healthAddress}/healthz`)).status === 200,
  });
}
