/** Pods that wait for an image, by their cause: one cause, one place to mend it. */
import { diagnoseStuckPod, type Diagnosis } from "../core/diagnosis.ts";
import { INJECT_LABEL } from "../core/labels.ts";
import type { PullSecretState } from "../core/pull-secret.ts";
import { isPermittedIn, selectRegistries } from "../core/registry.ts";
import { rememberCauses, type StuckPod } from "../core/stuck-pod.ts";
import type { VerdictCode } from "../core/verdicts.ts";
import type { ApisFor } from "../kube/api.ts";
import { KubeApiError } from "../kube/errors.ts";
import { isManaged } from "../kube/resources/copies.ts";
import type { PendingPod } from "../kube/resources/pending-pods.ts";
import { readSecretMetadata } from "../kube/resources/registry-edits.ts";
import type { StuckGroup, StuckPodList, StuckPodRow } from "./api.ts";
import type { ClusterView, StoredNamespace } from "./cluster-view.ts";

/** What a person mends, and the heading of the group. */
interface Cause {
  readonly title: string;
  /** Pods with the same one, and of the same of these, are one group. */
  readonly by: "registry" | "namespace" | "image";
  readonly command?: (pod: StuckPodRow) => string;
}

const restart = ({ namespace, owner }: StuckPodRow): string => {
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
  unknown: { title: "The kubelet does not say why", by: "image" },
  "nothing-wrong": { title: "Nothing is wrong", by: "namespace" },
};
const ORDER = Object.keys(CAUSES);

/** Pods that are listed of one cause; all are counted. */
const MAX_LISTED = 50;
/** Pods that are looked at for a list. */
const MAX_PODS = 5_000;
/** Questions about Secrets, for one list. */
const MAX_SECRETS = 500;
const SECRETS_KEPT_MS = 10_000;

export interface StuckPods {
  list(): Promise<StuckPodList>;
  /** Stuck pods by namespace, as the last list had them. */
  byNamespace(): Promise<ReadonlyMap<string, number>>;
}

interface Found {
  readonly row: StuckPodRow;
  readonly diagnosis: Diagnosis;
  readonly registry: string;
}

export function createStuckPods(view: ClusterView, apisFor: ApisFor): StuckPods {
  const secrets = new Map<
    string,
    { readonly at: number; readonly state: Promise<PullSecretState | string> }
  >();

  /** Whose a Secret is, by its metadata: what is in it is never asked for. A string says why it is not known. */
  function secretState(namespace: string, name: string): Promise<PullSecretState | string> {
    const key = `${namespace}/${name}`;
    const known = secrets.get(key);
    if (known !== undefined && Date.now() - known.at < SECRETS_KEPT_MS) return known.state;
    if (secrets.size >= MAX_SECRETS) secrets.clear();
    const isCopy = view
      .joined()
      .registries.some((each) => each.source !== undefined && each.secretName === name);
    const state = readSecretMetadata(apisFor, namespace, name).then(
      (secret): PullSecretState =>
        secret === undefined
          ? { kind: "missing" }
          : { kind: isCopy && !isManaged(secret) ? "not-owned" : "unknown" },
      (error: unknown) => {
        if (error instanceof KubeApiError) return error.message;
        throw error;
      },
    );
    secrets.set(key, { at: Date.now(), state });
    return state;
  }

  const causes = new Map<string, { readonly uid: string; readonly stuck: StuckPod }>();

  /** Kubelets that do not repeat the cause while they wait said it before. */
  function withCauses(key: string, uid: string, now: StuckPod): StuckPod {
    const before = causes.get(key);
    const stuck = before?.uid === uid ? rememberCauses(now, before.stuck) : now;
    if (causes.size >= MAX_PODS) causes.clear();
    causes.set(key, { uid, stuck });
    return stuck;
  }

  async function diagnose(pod: StuckPod, namespaceName: string, unread: Set<string>): Promise<Diagnosis> {
    const namespace: StoredNamespace | undefined = view.namespaces.get("", namespaceName);
    const names = pod.pullSecretNames.filter((name) => /^[a-z0-9][a-z0-9.-]*$/.test(name));
    const states = new Map<string, PullSecretState>();
    for (const name of names.slice(0, 8)) {
      const state = await secretState(namespaceName, name);
      if (typeof state === "string") unread.add(state);
      else states.set(name, state);
    }
    return diagnoseStuckPod(pod, {
      namespace: namespace ?? { isOptedIn: true, labels: "unknown" },
      serviceAccount: undefined,
      index: view.index(),
      isIndexComplete: view.registries.refusal() === undefined,
      pullSecret: (name) => states.get(name) ?? { kind: "unknown" },
      optedInAt: namespace?.optedInAt,
      registryCreatedAt: ({ name }) => createdAt(view, name),
      now: Date.now(),
    });
  }

  async function find(unread: Set<string>): Promise<readonly Found[]> {
    await Promise.all([view.pods.ready(), view.registries.ready(), view.namespaces.ready()]);
    const found: Found[] = [];
    for (const [key, pod] of view.pods
      .entries()
      .filter(([, { stuck }]) => stuck !== undefined)
      .slice(0, MAX_PODS)) {
      const [namespace = "", name = ""] = key.split("/");
      if (pod.stuck === undefined) continue;
      const stuck = withCauses(key, pod.uid, pod.stuck);
      const diagnosis = await diagnose(stuck, namespace, unread);
      const telling =
        diagnosis.containers.find(({ code }) => code === diagnosis.code) ?? diagnosis.containers[0];
      const image = telling?.image ?? "";
      const row = { namespace, name, owner: ownerOf(pod), image, since: timeOf(stuck) };
      found.push({ row, diagnosis, registry: registryFor(view, image, namespace) });
    }
    return found;
  }

  /** Of a namespace that did not opt in, only what a registry covers is Pullpass's business. */
  const isOurs = ({ row, diagnosis }: Found): boolean =>
    view.namespaces.get("", row.namespace)?.isOptedIn !== false ||
    diagnosis.code === "namespace-not-opted-in";

  return {
    async list() {
      const unread = new Set<string>();
      const found = await find(unread);
      for (const watched of [view.pods, view.registries, view.namespaces]) {
        const refusal = watched.refusal();
        if (refusal !== undefined) unread.add(refusal);
      }
      const ours = found.filter(isOurs);
      return {
        groups: groupByCause(ours),
        count: ours.length,
        others: found.length - ours.length,
        unread: [...unread],
      };
    },
    async byNamespace() {
      const counts = new Map<string, number>();
      await view.pods.ready();
      for (const [key, { stuck }] of view.pods.entries()) {
        if (stuck === undefined) continue;
        const namespace = key.slice(0, key.indexOf("/"));
        counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
      }
      return counts;
    },
  };
}

function createdAt(view: ClusterView, name: string): number | undefined {
  const metadata = view.registries.get("", name)?.object["metadata"] as
    { creationTimestamp?: string } | undefined;
  const time = Date.parse(metadata?.creationTimestamp ?? "");
  return Number.isNaN(time) ? undefined : time;
}

function ownerOf({ owner }: PendingPod): string {
  return owner.kind === "Pod" ? "" : `${owner.kind}/${owner.name}`;
}

function timeOf({ createdAt }: StuckPod): number | null {
  return Number.isNaN(createdAt) ? null : createdAt;
}

/** The one that a new pod of the namespace would use for the image; empty if none. */
function registryFor(view: ClusterView, image: string, namespace: string): string {
  const lookup = view.index().lookUp(image);
  if (lookup.kind === "invalid") return "";
  const labels = view.namespaces.get("", namespace)?.labels ?? "unknown";
  const [first] = selectRegistries(lookup.covering, (registry) => isPermittedIn(registry, labels));
  return first?.name ?? "";
}

function groupByCause(found: readonly Found[]): readonly StuckGroup[] {
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
