/** What the webhook needs to know; all of it is in memory, nothing is asked for while a pod waits. */
import type { BuildSecretState, NamespaceInfo, ServiceAccountInfo } from "../core/kubernetes.ts";
import type { RegistryIndex } from "../core/registry.ts";
import type { Answer, Review } from "./review.ts";
import type { Decision } from "../core/decision.ts";

export interface AdmissionPorts {
  /** The registries of the configuration that is in force now. */
  readonly registries: () => RegistryIndex;
  readonly namespace: (name: string) => NamespaceInfo;
  readonly buildSecret: (namespace: string) => BuildSecretState | undefined;
  readonly serviceAccount: (namespace: string, name: string) => ServiceAccountInfo | undefined;
}

/** An answered review, with what the log and the metrics say of it. */
export interface HandledReview {
  readonly answer: Answer;
  readonly decision: Decision;
  /** Empty if the request names none. */
  readonly namespace: string;
  /** What made the pod, as `Kind/name`; undefined if a person did. */
  readonly owner: string | undefined;
}

export type ReviewHandler = (review: Review) => HandledReview;
