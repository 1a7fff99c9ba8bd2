import { rm } from "node:fs/promises";
import { join } from "node:path";
import { writeKeyPair } from "./certificates.ts";
import type { ClusterNetwork } from "./claim-network.ts";
import { PAUSE_IMAGE, runContainerd, type Containerd } from "./containerd.ts";
import type { ControlPlane } from "./control-plane.ts";
import { pauseImage, writeImageArchive, type ImageContent } from "./images.ts";
import { runKubelet } from "./kubelet.ts";
import { createNodeNamespace } from "./node-namespace.ts";
import type { NodeParts } from "./parts.ts";
import { runDaemon, type Daemon } from "./run-daemon.ts";
import type { Teardown } from "./teardown.ts";

export interface SchedulerOptions {
  readonly program: string;
  readonly host: string;
  readonly kubeconfig: string;
  readonly directory: string;
  readonly logDirectory: string;
}

export function runScheduler(options: SchedulerOptions): Promise<Daemon> {
  const { program, host, kubeconfig, directory, logDirectory } = options;
  return runDaemon({
    name: "kube-scheduler",
    command: program,
    args: [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      `--bind-address=${host}`,
      `--cert-dir=${join(directory, "scheduler")}`,
      "--leader-elect=false",
    ],
    logDirectory,
  });
}

export interface ClusterNode {
  /** Also its address, on which pods with the host's network are. */
  readonly name: string;
  readonly staticPodDirectory: string;
  readonly kubeletLog: string;
  readonly kubeletPid: number;
  readonly containerdLog: string;
  readonly containerd: Containerd;
  /** Puts an image on the node, so that every pod may run it by that name without a pull. */
  preload(name: string, content: ImageContent): Promise<void>;
}

interface NodeStatus {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  readonly spec?: { readonly taints?: readonly unknown[] };
}

/** Starts the scheduler and one node, and waits until a pod can be scheduled to it. */
export async function startNode(
  parts: NodeParts,
  network: ClusterNetwork,
  controlPlane: ControlPlane,
  teardown: Teardown,
): Promise<ClusterNode> {
  const name = network.address(10);
  const directory = join(network.directory, "node");
  const logDirectory = join(network.directory, "log");

  const schedulerKubeconfig = await controlPlane.kubeconfigFor("system:kube-scheduler");
  const schedulerRun = {
    program: parts.scheduler,
    host: network.address(5),
    kubeconfig: schedulerKubeconfig,
  };
  const scheduler = await runScheduler({ ...schedulerRun, directory, logDirectory });
  teardown.add(() => scheduler.stop());

  const namespace = await createNodeNamespace(directory, parts.pause, logDirectory);
  teardown.add(() => namespace.stop());
  const containerd = await runContainerd({
    parts,
    namespace,
    directory,
    logDirectory,
    host: name,
    podAddressPrefix: network.address(0).replace(/\.0$/, ""),
  });
  const preload = async (image: string, content: ImageContent) => {
    const archive = join(directory, "preload.tar");
    await writeImageArchive(archive, image, content);
    await containerd.ctr("images", "import", archive);
    await rm(archive);
  };
  await preload(PAUSE_IMAGE, await pauseImage(parts.pause));

  await controlPlane.kubectl.apply(KUBELET_RIGHTS);
  const serving = await controlPlane.authority.issue({ commonName: `system:node:${name}`, hosts: [name] });
  const kubelet = await runKubelet({
    program: parts.kubelet,
    namespace,
    directory,
    logDirectory,
    nodeName: name,
    kubeconfig: await controlPlane.kubeconfigFor(`system:node:${name}`, ["system:nodes"]),
    cgroupName: network.name,
    dnsHost: network.address(138),
    authorityFile: join(network.directory, "pki", "ca.crt"),
    serving: await writeKeyPair(join(network.directory, "pki"), "kubelet", serving),
  });
  await controlPlane.kubectl.waitFor<NodeStatus>(["node", name], isSchedulable);
  return {
    name,
    staticPodDirectory: kubelet.staticPodDirectory,
    kubeletLog: kubelet.daemon.logFile,
    kubeletPid: kubelet.daemon.pid,
    containerdLog: containerd.daemon.logFile,
    containerd,
    preload,
  };
}

/**
 * Beside what the node authorizer allows. On a busy machine that may learn after kubelet that a pod is bound, and
 * refuses the pod's Secrets until then; kubelet waits a second for them, and pulls without.
 */
const KUBELET_RIGHTS = {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRoleBinding",
  metadata: { name: "kubelets" },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:node" },
  subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:nodes" }],
};

function isSchedulable({ status, spec }: NodeStatus): boolean {
  const isReady =
    status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;
  return isReady && (spec?.taints ?? []).length === 0;
}
