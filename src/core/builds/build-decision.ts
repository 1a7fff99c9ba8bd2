/** What is decided about builder containers, as values that carry their reason. */
import type { ContainerList } from "./build-container.ts";
import type { JsonObject } from "../kubernetes.ts";
import type { Registry } from "../registry.ts";

/** Why a builder container gets nothing. The sentences go on after the container's name. */
export const BUILD_SKIP_REASONS = {
  "too-many-builders": "the pod has more builders than any real one",
  "unknown-shape": "its volumeMounts, env or the pod's volumes are no lists",
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
    "the build secret is missing in its namespace, and a pod that mounts it would wait for it; see the namespace's Events",
  "credentials-unreadable": "the credentials of its registries cannot be read now",
  "labels-unknown": "what registries ask of the namespace's labels is not known to hold",
  "carried-by-the-pod": "the pod has the Secret of the connection as a volume already",
  "mountable-secrets-enforced": "the service account does not list the Secret that it would mount",
} as const;

export type BuildSkipReason = keyof typeof BUILD_SKIP_REASONS;

/** What becomes of one builder container. */
export interface BuildFinding {
  readonly list: ContainerList;
  readonly position: number;
  /** Its name, or where it stands if it has none. */
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
  /** Which lists the container has already, to be appended to. */
  readonly present: { readonly volumeMounts: boolean; readonly env: boolean };
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
