/** What the core decides, as values that carry their reason. */
import type { BuildInjection } from "./builds/build-decision.ts";
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
