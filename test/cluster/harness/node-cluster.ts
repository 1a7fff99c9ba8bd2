import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IS_ROUTED } from "./claim-network.ts";
import {
  reportToStandardError,
  startControlPlaneLevel,
  type OwnCluster,
  type ClusterOptions,
} from "./cluster.ts";
import { API_SERVER_PORT } from "./control-plane.ts";
import { startNode, type ClusterNode } from "./node.ts";
import { nodeParts, requestedRelease } from "./parts.ts";
import {
  startPasswordRegistry,
  startTokenRegistry,
  type RegistryWithUsers,
  type TokenRegistry,
} from "./registries.ts";
import { runDaemon, type Daemon } from "./run-daemon.ts";
import { sendRequest } from "../../send-request.ts";
import { forwardPort } from "./tcp-proxies.ts";
import { startOrUndo } from "./teardown.ts";

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

/** A running cluster of the level "node": its pods run. */
export interface NodeCluster extends OwnCluster {
  readonly node: ClusterNode;
  /** Asks for a password by HTTP Basic. */
  readonly passwordRegistry: RegistryWithUsers;
  /** Asks for a token; the node takes it for Docker Hub too. */
  readonly tokenRegistry: TokenRegistry;
  /** Starts one more registry of the first kind, which the node trusts as well. `lastByte` of its address: 14 to 31. */
  addPasswordRegistry(name: string, lastByte: number): Promise<RegistryWithUsers>;
}

/** Who may push and pull at both registries from the start. */
export const REGISTRY_USER = { username: "pullpass", password: "pass:word@with+signs" };

export interface NodeClusterOptions extends ClusterOptions {
  /** Names by which the registries are asked for, beside their addresses. */
  readonly registryNames?: readonly string[];
}

export async function startNodeCluster(options: NodeClusterOptions = {}): Promise<NodeCluster> {
  const { release = requestedRelease(), report = reportToStandardError } = options;
  const parts = await nodeParts(release, report);
  return startOrUndo(async (teardown) => {
    const apiServerFlags = [
      ...(options.apiServerFlags ?? []),
      // kube-proxy refuses what has no endpoint, and here the API server's may be one.
      ...(IS_ROUTED ? ["--endpoint-reconciler-type=lease"] : []),
    ];
    const controlPlane = await startControlPlaneLevel({ ...options, release, apiServerFlags }, teardown);
    const { network } = controlPlane;
    // The address of the Service "kubernetes", by which pods with the host's network find the API server.
    const apiServer = { host: network.address(3), port: API_SERVER_PORT };
    teardown.add(await forwardPort({ host: network.address(129), port: 443 }, apiServer));
    const registryOptions = (name: string, lastByte: number) => ({
      name,
      host: network.address(lastByte),
      directory: join(network.directory, "registries"),
      logDirectory: join(network.directory, "log"),
      authority: controlPlane.authority,
      programs: parts.programs,
      pause: parts.pause,
      dnsNames: options.registryNames ?? [],
    });
    const [node, passwordRegistry, tokenRegistry] = await Promise.all([
      startNode(parts, network, controlPlane, teardown),
      startPasswordRegistry(registryOptions("password", 11)),
      startTokenRegistry(registryOptions("token", 12)),
    ]);
    // It learns the node's address from the Node.
    if (IS_ROUTED) {
      const proxy = await runKubeProxy({
        program: parts.kubeProxy,
        kubeconfig: await controlPlane.kubeconfigFor("system:kube-proxy"),
        nodeName: network.address(10),
        host: network.address(6),
        directory: network.directory,
        logDirectory: join(network.directory, "log"),
      });
      teardown.add(() => proxy.stop());
    }
    teardown.add(() => tokenRegistry.stop());
    teardown.add(() => passwordRegistry.stop());
    const trust = (registry: RegistryWithUsers, name = registry.host) =>
      node.containerd.trustRegistry(name, registry.url, registry.authorityFile);
    for (const registry of [passwordRegistry, tokenRegistry]) {
      await registry.setUser(REGISTRY_USER);
      await trust(registry);
    }
    await trust(tokenRegistry, "docker.io");
    return {
      ...controlPlane,
      node,
      passwordRegistry,
      tokenRegistry,
      async addPasswordRegistry(name, lastByte) {
        const registry = await startPasswordRegistry(registryOptions(name, lastByte));
        teardown.add(() => registry.stop());
        await trust(registry);
        return registry;
      },
      stop: () => teardown.run(),
    };
  });
}
