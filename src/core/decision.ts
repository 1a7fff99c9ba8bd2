/** What the core decides, as values that carry their reason. */
import type { JsonObject } from "./kubernetes.ts";
import type { Registry } from "./registry.ts";

/** Why nothing is injected. The key is the metric's label and the log's reason, the sentence is for people. */
export const SKIP_REASONS = {
  "not-a-create": "pull secrets can only be set while a pod is created",
  "not-a-pod": "the request is not about a pod",
  "unknown-shape": "the request does not have the shape of a pod's creation",
  "review-too-large": "the pod is too large to be read",
  "too-many-large-reviews": "too many large pods are being created at once",
  "mirror-pod": "a mirror pod stands for a static pod and may not reference secrets",
  "namespace-not-opted-in": "the namespace does not have the label pullpass.dev/inject=enabled",
  "pod-opted-out": "the pod has the label pullpass.dev/inject=disabled",
  "no-registry": "no registry that the namespace may use covers an image of the pod",
  "labels-unknown":
    "a registry that covers an image of the pod is limited to certain namespaces, and the labels of this one are not known",
  "already-present": "the pod names every pull secret that its images need",
  "mountable-secrets-enforced": "the service account allows only the pull secrets that it lists",
  "too-many-builders": "the pod has more containers that build images than Pullpass mounts credentials in",
} as const;

export type SkipReason = keyof typeof SKIP_REASONS;

/** Pull secrets to append to the pod, or directories for its builders, or both. */
export interface Injection {
  readonly kind: "inject";
  /** The registries whose pull secrets the pod lacked, in configuration order. */
  readonly registries: readonly Registry[];
  /** The pull secrets to append, each once, in the order of the registries. */
  readonly secretNames: readonly string[];
  /** What builder containers get; undefined for nothing. */
  readonly build: BuildInjection | undefined;
  /** For the person who creates the pod: one line each, at most 120 characters, nothing secret. */
  readonly warnings: readonly string[];
}

export interface Skip {
  readonly kind: "skip";
  readonly reason: SkipReason;
  /** As those of an injection. */
  readonly warnings: readonly string[];
}

export type Decision = Injection | Skip;

export function skip(reason: SkipReason, warnings: readonly string[] = []): Skip {
  return { kind: "skip", reason, warnings };
}

/** Why a builder container gets nothing. The sentences go on after the container's name. */
export const BUILD_SKIP_REASONS = {
  "too-many-builders": "the pod has more containers that build images than Pullpass mounts credentials in",
  "unknown-shape": "its volumeMounts, env or the pod's volumes are not lists",
  "script-too-long":
    "its command contains a script that is too long to be read; to include it, name it in pullpass.dev/build-containers",
  "builder-not-run":
    "its command and args do not run the builder; to include it, name it in pullpass.dev/build-containers",
  "brings-its-own": "it logs in, or its command or a mount names credentials of its own",
  "mounts-there": "it mounts a volume at, above or below the directory",
  "sets-the-variable": "it sets the variable that says where credentials are",
  "may-set-the-variable": "its envFrom may set the variable that has to say where credentials are",
  "no-credentials": "no registry has credentials for it in this namespace",
  "build-secret-missing":
    "the build secret is missing in its namespace, and a pod that mounts it would wait for it; see the namespace's Events and Pullpass's log",
  "credentials-unreadable": "the credentials of its registries cannot be read now",
  "labels-unknown": "what registries ask of the namespace's labels is not known to hold",
  "carried-by-the-pod": "the pod has the Secret of the connection as a volume already",
  "mountable-secrets-enforced": "the service account does not list the Secret that it would mount",
} as const;

export type BuildSkipReason = keyof typeof BUILD_SKIP_REASONS;

/** The lists of a pod whose containers can be given volumes. */
export type ContainerList = "initContainers" | "containers";

/** What was decided about one builder container. */
export interface BuildFinding {
  readonly list: ContainerList;
  readonly position: number;
  /** Its name, or its location if it has none. */
  readonly container: string;
  /** The builder's name. */
  readonly builder: string;
  /** Why it is taken for one: an end of its image's repository, or the annotation. */
  readonly recognisedBy: string;
  readonly outcome: BuildMount | { readonly kind: "skip"; readonly reason: BuildSkipReason };
  readonly destinations: readonly BuildDestination[];
}

/** A directory of credentials for a container. */
export interface BuildMount {
  readonly kind: "mount";
  readonly secretName: string;
  readonly directory: string;
  /** What the Secret holds credentials of, in the order of the configuration. */
  readonly registries: readonly Registry[];
  readonly volumeMounts: readonly JsonObject[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

/** An image that a container pushes, as far as its arguments say. */
export interface BuildDestination {
  /** Host and repository. */
  readonly repository: string;
  /** Whose credentials it gets; none if there are none for it. */
  readonly registries: readonly Registry[];
}

/** All that a pod's builders get. */
export interface BuildInjection {
  /** Those whose credentials are mounted, in configuration order; at least one. */
  readonly registries: readonly Registry[];
  readonly volumes: readonly JsonObject[];
  /** Those that get a mount; at least one. */
  readonly findings: readonly (BuildFinding & { readonly outcome: BuildMount })[];
}
