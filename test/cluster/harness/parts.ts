import { dirname, join } from "node:path";
import { buildGoTool } from "./build-go-tool.ts";
import { NODE_PROGRAMS, requireDebianPrograms, type NodePrograms } from "./debian-programs.ts";
import { findExecutable, isExecutable } from "./run-command.ts";
import { CONTAINERD, ETCD, KUBERNETES, PAUSE, type GoTool, type KubernetesRelease } from "./tools.ts";

export interface ControlPlaneParts {
  readonly etcd: string;
  readonly apiServer: string;
  readonly controllerManager: string;
  readonly kubectl: string;
}

export interface NodeParts {
  readonly scheduler: string;
  readonly kubelet: string;
  readonly kubeProxy: string;
  readonly containerd: string;
  readonly ctr: string;
  /** Where containerd finds the shim that it starts for every pod. */
  readonly containerdDirectory: string;
  readonly pause: string;
  readonly programs: NodePrograms;
}

type Report = (line: string) => void;

/** The directory of envtest's programs, as `setup-envtest use -p env` prints it. */
export function assetsDirectory(): string | undefined {
  const directory = process.env["KUBEBUILDER_ASSETS"];
  return directory === "" ? undefined : directory;
}

/** Which release the environment asks for. */
export function requestedRelease(): KubernetesRelease {
  const value = process.env["PULLPASS_KUBERNETES"];
  if (value === undefined || value === "" || value === "newest") return "newest";
  if (value === "oldest" || value === "1.36") return value;
  throw new Error(`PULLPASS_KUBERNETES is ${JSON.stringify(value)}; it may be newest, 1.36 or oldest`);
}

/** Every program comes from envtest's directory where it is set and has it, else from the cache, else from source. */
export async function controlPlaneParts(
  release: KubernetesRelease,
  report: Report,
): Promise<ControlPlaneParts> {
  const locate = async (program: string, tool: GoTool) =>
    (await inAssets(program)) ?? join(await buildGoTool(tool, report), program);
  return {
    etcd: await locate("etcd", ETCD),
    apiServer: await locate("kube-apiserver", KUBERNETES[release]),
    // envtest has none; the one of another minor release works with an API server that is at most one older or newer.
    controllerManager: await locate("kube-controller-manager", KUBERNETES[release]),
    kubectl:
      (await inAssets("kubectl")) ??
      (await findExecutable("kubectl")) ??
      join(await buildGoTool(KUBERNETES.newest, report), "kubectl"),
  };
}

export async function nodeParts(release: KubernetesRelease, report: Report): Promise<NodeParts> {
  const programs = await requireDebianPrograms(NODE_PROGRAMS, report);
  const kubernetes = await buildGoTool(KUBERNETES[release], report);
  const containerdDirectory = await containerdOf(release, report);
  const pauseDirectory = await buildGoTool(PAUSE, report);
  return {
    scheduler: join(kubernetes, "kube-scheduler"),
    kubelet: join(kubernetes, "kubelet"),
    kubeProxy: join(kubernetes, "kube-proxy"),
    containerd: join(containerdDirectory, "containerd"),
    ctr: join(containerdDirectory, "ctr"),
    containerdDirectory,
    pause: join(pauseDirectory, "pause"),
    programs,
  };
}

/** Beside the oldest release is what many nodes still have: the containerd of a Debian of some years ago. */
async function containerdOf(release: KubernetesRelease, report: Report): Promise<string> {
  if (release === "newest") return buildGoTool(CONTAINERD, report);
  return dirname((await requireDebianPrograms(["containerd"], report)).containerd);
}

/** The programs for which envtest's directory is enough. */
export async function inAssets(program: string): Promise<string | undefined> {
  const assets = assetsDirectory();
  if (assets === undefined) return undefined;
  const path = join(assets, program);
  return (await isExecutable(path)) ? path : undefined;
}
