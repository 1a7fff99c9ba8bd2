/** Pods as tests write and read them. */
import type { KubernetesObject } from "./kubectl.ts";

export interface PodObject extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & { readonly name: string };
  readonly spec: PodSpec;
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly ephemeralContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface PodSpec {
  readonly containers: readonly { readonly name: string; readonly image: string }[];
  readonly imagePullSecrets?: readonly { readonly name?: string }[];
}

interface ContainerStatus {
  readonly state?: {
    readonly running?: object;
    readonly waiting?: { readonly reason?: string; readonly message?: string };
  };
}

export interface PodList {
  readonly items: readonly PodObject[];
}

/** A pod of one container, and what it has besides. */
export function podWith(image: string, metadata: object, spec: object = {}): object {
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { ...podSpec(image), ...spec } };
}

export function podSpec(image: string): PodSpec {
  return { containers: [{ name: "main", image }] };
}

/** The names in the pod's `imagePullSecrets`, in their order, duplicates included. */
export function pullSecretsOf({ spec }: PodObject): readonly (string | undefined)[] {
  return (spec.imagePullSecrets ?? []).map(({ name }) => name);
}
