/** Pods that wait for an image: why, when the kubelet tries again, and what heal did about them. */
import { diagnoseStuckPod, type Diagnosis } from "../core/diagnosis.ts";
import {
  controllerKey,
  HEAL_EVENTS_SELECTOR,
  healEventsIn,
  type HealEventReason,
} from "../core/heal-events.ts";
import { HEAL_LABEL } from "../core/labels.ts";
import { FAILED_PULL_SELECTOR, failedPullsIn, failedPullsKey, nextTry } from "../core/next-try.ts";
import type { PullSecretState } from "../core/pull-secret.ts";
import { isPermittedIn, selectRegistries } from "../core/registry.ts";
import { rememberCauses, type StuckPod } from "../core/stuck-pod.ts";
import type { ApisFor } from "../kube/api.ts";
import { KubeApiError } from "../kube/errors.ts";
import { isManaged } from "../kube/resources/copies.ts";
import { readEvents, type FoundEvents } from "../kube/resources/events.ts";
import type { PendingPod } from "../kube/resources/pending-pods.ts";
import { readSecretMetadata } from "../kube/resources/registry-edits.ts";
import type { Transport } from "../kube/transport.ts";
import type { HealRow, State, StuckPodList, StuckPodRow } from "./api.ts";
import type { ClusterView, StoredNamespace } from "./cluster-view.ts";
import { groupByCause, type Listed } from "./stuck-causes.ts";

/** Pods that are looked at for a list. */
const MAX_PODS = 5_000;
/** Questions about Secrets, for one list. */
const MAX_SECRETS = 500;
const SECRETS_KEPT_MS = 10_000;
/** Many changes in a row ask once. */
const EVENTS_KEPT_MS = 2_000;
/** Heal evicts ten pods a minute at most, and the API server keeps Events for an hour by default. */
const MAX_HEAL_ROWS = 20;

export interface StuckPods {
  list(): Promise<StuckPodList>;
  /** Of those that are listed. */
  count(): Promise<number>;
  /** Stuck pods by namespace, as the last list had them. */
  byNamespace(): Promise<ReadonlyMap<string, number>>;
}

interface Found {
  readonly uid: string;
  readonly row: Omit<StuckPodRow, "nextTry">;
  readonly diagnosis: Diagnosis;
  readonly registry: string;
}

export function createStuckPods(
  view: ClusterView,
  apisFor: ApisFor,
  transport: Pick<Transport, "list">,
): StuckPods {
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
      const image = tellingOf(diagnosis)?.image ?? "";
      const row = { namespace, name, owner: ownerOf(pod), image, since: timeOf(stuck) };
      found.push({ uid: pod.uid, row, diagnosis, registry: registryFor(view, image, namespace) });
    }
    return found;
  }

  /** Of a namespace that did not opt in, only what a registry covers is Pullpass's business. */
  const isOurs = ({ row, diagnosis }: Found): boolean =>
    view.namespaces.get("", row.namespace)?.isOptedIn !== false ||
    diagnosis.code === "namespace-not-opted-in";

  const asked = new Map<string, { readonly at: number; readonly found: Promise<FoundEvents> }>();

  /** Nobody else may see what is kept: it belongs to one person. */
  async function events(namespaces: readonly string[], selector: string, unread: Set<string>) {
    const key = [selector, ...namespaces].join(" ");
    const now = Date.now();
    for (const [other, { at }] of asked) if (now - at > EVENTS_KEPT_MS) asked.delete(other);
    const read = () => ({ at: now, found: readEvents(transport, namespaces, selector) });
    const { events: found, refusals } = await asked.getOrInsertComputed(key, read).found;
    for (const refusal of refusals) unread.add(refusal);
    return found;
  }

  async function addNextTry(found: readonly Found[], unread: Set<string>): Promise<readonly Listed[]> {
    const namespaces = new Set(found.map(({ row }) => row.namespace));
    const failed = failedPullsIn(await events([...namespaces], FAILED_PULL_SELECTOR, unread));
    const now = Date.now();
    return found.map(({ uid, row, diagnosis, registry }) => {
      const { failure = "unknown", image = "" } = tellingOf(diagnosis) ?? {};
      const next = nextTry({ failure }, failed.get(failedPullsKey(uid, image)), now);
      return { row: { ...row, nextTry: next }, diagnosis, registry };
    });
  }

  async function listHealed(unread: Set<string>): Promise<readonly HealRow[] | null> {
    const healed = view.namespaces
      .entries()
      .filter(([, { labels }]) => labels[HEAL_LABEL] === "enabled")
      .map(([name]) => name);
    if (healed.length === 0) return null;
    const stuck = view.pods
      .entries()
      .filter(([, pod]) => pod.stuck !== undefined)
      .map(([, { owner }]) => controllerKey(owner.namespace, `${owner.kind}/${owner.name}`));
    const told = healEventsIn(await events(healed, HEAL_EVENTS_SELECTOR, unread), new Set(stuck));
    return told.slice(0, MAX_HEAL_ROWS).map(({ namespace, controller, message, at, reason }) => ({
      ...{ namespace, owner: controller, message, at },
      state: HEAL_STATES[reason],
    }));
  }

  return {
    async count() {
      return (await find(new Set())).filter(isOurs).length;
    },
    async list() {
      const unread = new Set<string>();
      const found = await find(unread);
      for (const watched of [view.pods, view.registries, view.namespaces]) {
        const refusal = watched.refusal();
        if (refusal !== undefined) unread.add(refusal);
      }
      const ours = found.filter(isOurs);
      return {
        groups: groupByCause(await addNextTry(ours, unread)),
        count: ours.length,
        others: found.length - ours.length,
        healed: await listHealed(unread),
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

const HEAL_STATES: Readonly<Record<HealEventReason, State>> = {
  EvictedToPull: { level: "good", words: "Evicted" },
  EvictionDidNotHelp: { level: "warn", words: "Did not help" },
  LeftAlone: { level: "quiet", words: "Left alone" },
};

/** The container that the verdict is about. */
function tellingOf({ code, containers }: Diagnosis): Diagnosis["containers"][number] | undefined {
  return containers.find((container) => container.code === code) ?? containers[0];
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
