import { isBuilt } from "./build-go-tool.ts";
import {
  BROWSERS,
  canInstallPackages,
  missingDebianPackages,
  NODE_PROGRAMS,
  SHELLS,
} from "./debian-programs.ts";
import { assetsDirectory, inAssets, requestedRelease } from "./parts.ts";
import { findExecutable, runCommand } from "./run-command.ts";
import { CONTAINERD, ETCD, KUBERNETES, PAUSE, type GoTool } from "./tools.ts";

/**
 * "registries" and "shells" need no cluster: the two registries of a node, and zsh and fish. "browser" is a control plane, and a
 * browser for the console's pages.
 */
export type ClusterLevel = "control-plane" | "node" | "browser" | "registries" | "shells";

export type ClusterAvailability =
  { readonly available: true } | { readonly available: false; readonly reason: string };

/**
 * Tells whether a cluster can be started on this machine, and if not, in one line what is missing and how to get it.
 * Under `CI=true` that is an error, because a suite that silently runs no test proves nothing.
 */
export async function clusterAvailability(level: ClusterLevel): Promise<ClusterAvailability> {
  const reason = await whyNot(level);
  if (reason === undefined) return { available: true };
  if (process.env["CI"] === "true") throw new Error(`CI must run the cluster tests: ${reason}`);
  return { available: false, reason };
}

async function whyNot(level: ClusterLevel): Promise<string | undefined> {
  const noDaemons = await whyNoDaemons();
  if (noDaemons !== undefined) return noDaemons;
  if (level === "registries") return whyNoPackages(NODE_PROGRAMS);
  if (level === "shells") return whyNoPackages(SHELLS);
  const noControlPlane = await whyNoControlPlane();
  if (noControlPlane !== undefined) return noControlPlane;
  if (level === "browser") return whyNoPackages(BROWSERS);
  return level === "node" ? whyNoNode() : undefined;
}

async function whyNoDaemons(): Promise<string | undefined> {
  if (process.platform !== "linux") return "a test cluster needs Linux";
  for (const program of ["setpriv", "flock"]) {
    if ((await findExecutable(program)) === undefined) return `${program} is missing: install util-linux`;
  }
  return undefined;
}

async function whyNoControlPlane(): Promise<string | undefined> {
  const kubernetes = KUBERNETES[requestedRelease()];
  const needed = [
    ["etcd", ETCD],
    ["kube-apiserver", kubernetes],
    ["kube-controller-manager", kubernetes],
  ] as const;
  const missing: string[] = [];
  for (const [program, tool] of needed) {
    if ((await inAssets(program)) === undefined && (await isOutOfReach(tool))) missing.push(program);
  }
  if (missing.length === 0) return undefined;
  const assets = assetsDirectory() === undefined ? "" : " and not in KUBEBUILDER_ASSETS";
  const programs = `${missing.join(", ")}: not built yet${assets}`;
  return `${programs}; install Go 1.26 or later, or set KUBEBUILDER_ASSETS to what setup-envtest downloaded`;
}

async function whyNoNode(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "a test node needs root: kubelet and containerd do not run without it";
  for (const program of ["unshare", "nsenter"]) {
    if ((await findExecutable(program)) === undefined) return `${program} is missing: install util-linux`;
  }
  try {
    await runCommand("unshare", ["--mount", "--pid", "--fork", "true"]);
  } catch {
    return "this machine does not let root make namespaces, which a test node needs";
  }
  const release = requestedRelease();
  const containerd = release === "newest" ? [CONTAINERD] : [];
  for (const tool of [KUBERNETES[release], PAUSE, ...containerd]) {
    if (await isOutOfReach(tool)) return `${tool.name} is not built yet: install Go 1.26 or later`;
  }
  return whyNoPackages(release === "newest" ? NODE_PROGRAMS : [...NODE_PROGRAMS, "containerd"]);
}

async function whyNoPackages(
  programs: Parameters<typeof missingDebianPackages>[0],
): Promise<string | undefined> {
  const packages = await missingDebianPackages(programs);
  if (packages.length > 0 && !(await canInstallPackages())) {
    return `${packages.join(", ")}: not installed; on Debian, apt-get install ${packages.join(" ")}`;
  }
  return undefined;
}

/** True where a tool neither is in the cache nor can be put there. */
async function isOutOfReach(tool: GoTool): Promise<boolean> {
  return !(await isBuilt(tool)) && (await findExecutable("go")) === undefined;
}
