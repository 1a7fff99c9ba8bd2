/** The smallest pod there is, for tests that each show only their difference from it. */
import type { Pod } from "../../src/core/kubernetes.ts";

/** Members that tests change; `unknown`, because much of what they put there is wrong on purpose. */
export type PodDraft = {
  metadata: { name?: string; labels?: unknown; annotations?: unknown };
  spec: {
    containers?: unknown;
    initContainers?: unknown;
    volumes?: unknown;
    imagePullSecrets?: unknown;
    serviceAccountName?: unknown;
  };
};

export const APP_IMAGE = "registry.example.com/team-a/app:v1";

export function minimalPod(): PodDraft {
  return { metadata: { name: "web" }, spec: { containers: [{ name: "app", image: APP_IMAGE }] } };
}

export function tweak(pod: PodDraft, change: (pod: PodDraft) => void): Pod {
  change(pod);
  return pod;
}
