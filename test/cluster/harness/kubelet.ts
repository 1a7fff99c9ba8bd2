import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KeyPairFiles } from "./certificates.ts";
import type { NodeNamespace } from "./node-namespace.ts";
import type { Daemon } from "./run-daemon.ts";

export interface KubeletOptions {
  readonly program: string;
  readonly namespace: NodeNamespace;
  readonly directory: string;
  readonly logDirectory: string;
  readonly nodeName: string;
  readonly kubeconfig: string;
  readonly cgroupName: string;
  /** Where pods would ask for names; nobody answers there. */
  readonly dnsHost: string;
  readonly authorityFile: string;
  readonly serving: KeyPairFiles;
}

export interface Kubelet {
  readonly daemon: Daemon;
  /** Pods whose manifests are put here are run without the API server, which gets a mirror pod of each. */
  readonly staticPodDirectory: string;
}

export async function runKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { directory, namespace, program, kubeconfig, nodeName, logDirectory } = options;
  const staticPodDirectory = join(directory, "static-pods");
  await mkdir(staticPodDirectory, { recursive: true });
  await createCgroups(options.cgroupName);
  // No name server: a pod that looks a name up must not ask one outside of the machine.
  await writeFile(join(directory, "resolv.conf"), "");
  const configFile = join(directory, "kubelet.json");
  await writeFile(configFile, JSON.stringify(configuration(options, staticPodDirectory), null, 2));
  const daemon = await namespace.run({
    name: "kubelet",
    command: program,
    args: [
      `--config=${configFile}`,
      `--kubeconfig=${kubeconfig}`,
      // A name that is an address is also taken for the node's address, and may then be one of the loopback range.
      `--hostname-override=${nodeName}`,
    ],
    logDirectory,
  });
  return { daemon, staticPodDirectory };
}

function configuration(options: KubeletOptions, staticPodPath: string): object {
  const { nodeName, authorityFile, serving, cgroupName, directory } = options;
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: nodeName,
    healthzBindAddress: nodeName,
    tlsCertFile: serving.certificateFile,
    tlsPrivateKeyFile: serving.keyFile,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: authorityFile },
    },
    authorization: { mode: "Webhook" },
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    staticPodPath,
    fileCheckFrequency: "1s",
    // So often a changed Secret is brought to those that have it as files; a minute is what clusters have.
    syncFrequency: "10s",
    volumePluginDir: join(directory, "volume-plugins"),
    resolvConf: join(directory, "resolv.conf"),
    clusterDomain: "cluster.local",
    clusterDNS: [options.dnsHost],
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${cgroupName}`,
    // Kubelet otherwise refuses machines that still have the first version of cgroups.
    failCgroupV1: false,
    enforceNodeAllocatable: [],
    // Only who has CAP_SYS_RESOURCE may lower the score, and root in a container often has not.
    oomScoreAdj: 0,
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    // How full the machine's disk is must not decide whether tests pass.
    evictionHard: { "memory.available": "1Mi" },
    imageGCHighThresholdPercent: 100,
    localStorageCapacityIsolation: false,
    serializeImagePulls: false,
    registerWithTaints: [],
    nodeStatusUpdateFrequency: "2s",
    shutdownGracePeriod: "0s",
  };
}

/** Makes the cgroup below which all pods are, in each hierarchy of cgroups v1 or in the one of v2. */
async function createCgroups(name: string): Promise<void> {
  const root = "/sys/fs/cgroup";
  if (existsSync(join(root, "cgroup.controllers"))) {
    await mkdir(join(root, name), { recursive: true });
    return;
  }
  for (const hierarchy of await readdir(root)) {
    await mkdir(join(root, hierarchy, name), { recursive: true });
  }
  // A new cpuset may use nothing until these are written.
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const parent = await readFile(join(root, "cpuset", file), "utf8");
    await writeFile(join(root, "cpuset", name, file), parent);
  }
}
