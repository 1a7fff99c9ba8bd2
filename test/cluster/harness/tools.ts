import { readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * The Kubernetes releases that the tests run against; the versions themselves are in go.mod files. `1.36`, the first with
 * MutatingAdmissionPolicies, is for those of the policy, on request.
 */
export type KubernetesRelease = "newest" | "1.36" | "oldest";

/** Something that is built from one pinned Go module. */
export interface GoTool {
  readonly name: string;
  /** Where its go.mod and go.sum are. */
  readonly directory: string;
  /** The required module that gives the tool its version; without one the tool is all ours. */
  readonly versionModule?: string;
  readonly packages: readonly string[];
  readonly tags?: readonly string[];
  /** Variables that are set to the version when the tool is linked. */
  readonly stamp?: (version: string) => Readonly<Record<string, string>>;
  /** The program that a build of one package makes; where there are several, Go names them after their packages. */
  readonly program?: string;
  /** A directory of the required module whose files are kept beside the programs, in one of the same name. */
  readonly keeps?: string;
  /** Names by which the program is started as well; it tells by them what to be. */
  readonly links?: readonly string[];
}

const GO_DIRECTORY = join(import.meta.dirname, "go");

export const ETCD: GoTool = {
  name: "etcd",
  directory: join(GO_DIRECTORY, "etcd"),
  versionModule: "go.etcd.io/etcd/server/v3",
  packages: ["go.etcd.io/etcd/server/v3"],
  program: "etcd",
};

export const KUBERNETES: Readonly<Record<KubernetesRelease, GoTool>> = {
  newest: kubernetes("newest"),
  "1.36": kubernetes("1.36"),
  oldest: kubernetes("oldest"),
};

export const CONTAINERD: GoTool = {
  name: "containerd",
  directory: join(GO_DIRECTORY, "containerd"),
  versionModule: "github.com/containerd/containerd/v2",
  packages: ["containerd", "containerd-shim-runc-v2", "ctr"].map(
    (command) => `github.com/containerd/containerd/v2/cmd/${command}`,
  ),
  // Snapshotters that a test never uses; without them the build needs no C compiler.
  tags: ["no_btrfs", "no_devmapper", "no_zfs"],
  stamp: (version) => ({ "github.com/containerd/containerd/v2/version.Version": version }),
};

export const HELM: GoTool = {
  name: "helm",
  directory: join(GO_DIRECTORY, "helm"),
  versionModule: "helm.sh/helm/v4",
  packages: ["helm.sh/helm/v4/cmd/helm"],
  program: "helm",
  stamp: (version) => ({ "helm.sh/helm/v4/internal/version.version": version }),
};

/** A maintained fork: the original is archived. Its image and where it reads credentials are as they were. */
export const KANIKO: GoTool = {
  name: "kaniko",
  directory: join(GO_DIRECTORY, "kaniko"),
  versionModule: "github.com/chainguard-dev/kaniko",
  packages: ["github.com/chainguard-dev/kaniko/cmd/executor"],
  program: "executor",
  stamp: (version) => ({ "github.com/chainguard-dev/kaniko/pkg/version.version": version }),
};

export const CRANE: GoTool = {
  name: "crane",
  directory: join(GO_DIRECTORY, "crane"),
  versionModule: "github.com/google/go-containerregistry",
  packages: ["github.com/google/go-containerregistry/cmd/crane"],
  program: "crane",
};

export const KUBE_SCORE: GoTool = {
  name: "kube-score",
  directory: join(GO_DIRECTORY, "kube-score"),
  versionModule: "github.com/zegl/kube-score",
  packages: ["github.com/zegl/kube-score/cmd/kube-score"],
  program: "kube-score",
};

export const CERT_MANAGER: GoTool = {
  name: "cert-manager",
  directory: join(GO_DIRECTORY, "cert-manager"),
  versionModule: "github.com/cert-manager/cert-manager",
  packages: ["."],
  program: "cert-manager",
  keeps: "deploy/crds",
};

/** A plugin of kubelet and three of docker's credential helpers, in one module, so that what they share is compiled once. */
export const CREDENTIAL_PLUGINS: GoTool = {
  name: "credential-plugins",
  directory: join(GO_DIRECTORY, "credential-plugins"),
  versionModule: "k8s.io/cloud-provider-aws",
  packages: [
    "k8s.io/cloud-provider-aws/cmd/ecr-credential-provider",
    "github.com/awslabs/amazon-ecr-credential-helper/ecr-login/cli/docker-credential-ecr-login",
    "github.com/GoogleCloudPlatform/docker-credential-gcr/v2",
    "github.com/chrismellard/docker-credential-acr-env",
  ],
};

export const PAUSE: GoTool = {
  name: "pause",
  directory: join(GO_DIRECTORY, "pause"),
  packages: ["."],
  program: "pause",
};

/** What Pullpass is measured beside. */
export const SMALLEST_WEBHOOK: GoTool = {
  name: "smallest-webhook",
  directory: join(GO_DIRECTORY, "smallest-webhook"),
  packages: ["."],
  program: "smallest-webhook",
};

function kubernetes(release: KubernetesRelease): GoTool {
  return {
    name: "kubernetes",
    directory: join(GO_DIRECTORY, "kubernetes", release),
    versionModule: "k8s.io/kubernetes",
    packages: ["."],
    program: "kubernetes",
    links: [
      ...["kube-apiserver", "kube-controller-manager", "kube-scheduler"],
      ...["kubelet", "kube-proxy", "kubectl"],
    ],
    stamp(version) {
      const [major = "", minor = ""] = version.replace(/^v/, "").split(".");
      const variables = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: "archive" };
      return Object.fromEntries(
        ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap((path) =>
          Object.entries(variables).map(([name, value]) => [`${path}.${name}`, value]),
        ),
      );
    },
  };
}

/** The version that the tool's go.mod pins, such as `v1.37.1`. */
export async function pinnedVersion(tool: GoTool): Promise<string> {
  if (tool.versionModule === undefined) return "v0";
  const goMod = await readFile(join(tool.directory, "go.mod"), "utf8");
  for (const line of goMod.split("\n")) {
    const [module, version] = line
      .trim()
      .replace(/^require /, "")
      .split(" ");
    if (module === tool.versionModule && version !== undefined) return version;
  }
  throw new Error(`${tool.directory}/go.mod does not require ${tool.versionModule}`);
}
