/** What a person mends about pods that cannot pull, by cause: one cause, one place. */
import type { Diagnosis } from "../core/diagnosis.ts";
import { INJECT_LABEL } from "../core/labels.ts";
import type { VerdictCode } from "../core/verdicts.ts";
import type { StuckGroup, StuckPodRow } from "./api.ts";

/** What a person mends, and the heading of the group. */
interface Cause {
  readonly title: string;
  /** Pods with the same one, and of the same of these, are one group. */
  readonly by: "registry" | "namespace" | "image";
  readonly command?: (pod: Pick<StuckPodRow, "namespace" | "owner">) => string;
}

const restart = ({ namespace, owner }: Pick<StuckPodRow, "namespace" | "owner">): string => {
  const deployment = /^ReplicaSet\/(.+)-[a-z0-9]+$/.exec(owner)?.[1];
  const target = deployment === undefined ? owner.toLowerCase() : `deployment/${deployment}`;
  return /^(?:deployment|statefulset|daemonset)\//.test(target)
    ? `kubectl rollout restart ${target} --namespace ${namespace}`
    : "";
};

/** In the order in which groups are shown: what one edit here mends comes first. */
const CAUSES: Readonly<Record<VerdictCode, Cause>> = {
  unauthorized: { title: "The registry refuses the credentials", by: "registry" },
  "secret-expired": { title: "The credentials have expired", by: "registry" },
  forbidden: { title: "The registry denies access", by: "registry" },
  "no-credentials-for-image": { title: "The pull secret has no credentials for the image", by: "registry" },
  "no-registry": { title: "No registry covers the image", by: "image" },
  "namespace-not-opted-in": {
    title: "The namespace did not opt in",
    by: "namespace",
    command: ({ namespace }) => `kubectl label namespace ${namespace} ${INJECT_LABEL}=enabled`,
  },
  "older-than-opt-in": { title: "The pods are older than the opt-in", by: "namespace", command: restart },
  "older-than-registry": { title: "The pods are older than the registry", by: "registry", command: restart },
  "lacks-secret": { title: "The pods lack their pull secret", by: "registry", command: restart },
  "secret-not-owned": { title: "Another Secret has the name of the copy", by: "namespace" },
  "secret-missing": { title: "The pull secret is missing", by: "namespace" },
  "pod-opted-out": { title: "The pods opted out", by: "namespace" },
  "mountable-secrets-enforced": { title: "The service account allows only its own Secrets", by: "namespace" },
  "mirror-pod": { title: "Static pods cannot have pull secrets", by: "namespace" },
  "rate-limited": { title: "Too many pulls", by: "registry" },
  tls: { title: "The node does not trust the registry", by: "registry" },
  network: { title: "The node does not reach the registry", by: "registry" },
  "not-found": { title: "The registry has no such image", by: "image" },
  "invalid-image-name": { title: "Not an image reference", by: "image" },
  "never-pulled": { title: "The pull policy is Never", by: "namespace" },
  unknown: { title: "Another cause", by: "image" },
  "nothing-wrong": { title: "Nothing is wrong", by: "namespace" },
};
const ORDER = Object.keys(CAUSES);

/** Pods that are listed of one cause; all are counted. */
const MAX_LISTED = 50;

export interface Listed {
  readonly row: StuckPodRow;
  readonly diagnosis: Diagnosis;
  /** Empty if none covers the image. */
  readonly registry: string;
}

export function groupByCause(found: readonly Listed[]): readonly StuckGroup[] {
  const groups = new Map<
    string,
    { -readonly [Key in keyof StuckGroup]: StuckGroup[Key] } & { pods: StuckPodRow[] }
  >();
  for (const { row, diagnosis, registry } of found) {
    const { code, sentence, advice } = diagnosis;
    const { title, by, command } = CAUSES[code];
    const subject = by === "registry" ? registry : by === "namespace" ? row.namespace : row.image;
    const group = groups.getOrInsertComputed(JSON.stringify([code, subject]), () => ({
      ...{ code, title, sentence, advice, count: 0, pods: [] },
      registry: by === "registry" ? registry : "",
      namespace: by === "namespace" ? row.namespace : "",
      command: command?.(row) ?? "",
    }));
    group.count++;
    if (group.pods.length < MAX_LISTED) group.pods.push(row);
  }
  return [...groups.values()].toSorted(
    (a, b) => ORDER.indexOf(a.code) - ORDER.indexOf(b.code) || b.count - a.count,
  );
}
