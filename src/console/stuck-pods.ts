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
import { KubeApiError, KubeUnreachableError } from "../kube/errors.ts";
import { isManaged } from "../kube/resources/copies.ts";
import { readEvents, type FoundEvents } from "../kube/resources/events.ts";
import type { PendingPod } from "../kube/resources/pending-pods.ts";
import { readSecretMetadata } from "../kube/resources/registry-edits.ts";
import type { Transport } from "../kube/transport.ts";
import type { HealRow, State, StuckPodList, StuckPodRow } from "./api.ts";
import type { ClusterView } from "./cluster-view.ts";
import { groupByCause, type Listed } from "./stuck-causes.ts";

/** Pods that are looked at for a list. */
const MAX_PODS = 5_000;
/** Answers about Secrets that are kept: no more questions are asked before one of them is old. */
const MAX_SECRETS = 500;
const SECRETS_KEPT_MS = 10_000;
/** Many changes in a row ask once. */
const EVENTS_KEPT_MS = 2_000;
/** Heal evicts ten pods a minute at most, and the API server keeps Events for an hour by default. */
const MAX_HEAL_ROWS = 20;

interface Found {
  readonly uid: string;
  readonly row: Omit<StuckPodRow, "nextTry">;
  readonly diagnosis: Diagnosis;
  readonly registry: string;
}

interface Kept<T> {
  readonly at: number;
  readonly answer: Promise<T>;
}

export class StuckPods {
  readonly #view: ClusterView;
  readonly #apisFor: ApisFor;
  readonly #transport: Pick<Transport, "list">;
  readonly #secrets = new Map<string, Kept<PullSecretState | string>>();
  readonly #causes = new Map<string, { readonly uid: string; readonly stuck: StuckPod }>();
  /** Nobody else may see what is kept: it belongs to one person. */
  readonly #events = new Map<string, Kept<FoundEvents>>();

  constructor(view: ClusterView, apisFor: ApisFor, transport: Pick<Transport, "list">) {
    this.#view = view;
    this.#apisFor = apisFor;
    this.#transport = transport;
  }

  async list(): Promise<StuckPodList> {
    const { pods, registries, namespaces } = this.#view;
    const unread = new Set<string>();
    const found = await this.#find(unread);
    for (const watched of [pods, registries, namespaces]) {
      const refusal = watched.refusal();
      if (refusal !== undefined) unread.add(refusal);
    }
    const ours = found.filter((each) => this.#isOurs(each));
    return {
      groups: groupByCause(await this.#addNextTry(ours, unread)),
      count: ours.length,
      others: found.length - ours.length,
      healed: await this.#listHealed(unread),
      unread: [...unread],
    };
  }

  /** Of those that are listed. */
  async count(): Promise<number> {
    return (await this.#find(new Set())).filter((each) => this.#isOurs(each)).length;
  }

  /** Stuck pods by namespace, as the last list had them. */
  async byNamespace(): Promise<ReadonlyMap<string, number>> {
    const { pods } = this.#view;
    const counts = new Map<string, number>();
    await pods.ready();
    for (const [key, { stuck }] of pods.entries()) {
      if (stuck === undefined) continue;
      const namespace = key.slice(0, key.indexOf("/"));
      counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
    }
    return counts;
  }

  async #find(unread: Set<string>): Promise<readonly Found[]> {
    const { pods, registries, namespaces } = this.#view;
    await Promise.all([pods.ready(), registries.ready(), namespaces.ready()]);
    const found: Found[] = [];
    for (const [key, pod] of pods
      .entries()
      .filter(([, { stuck }]) => stuck !== undefined)
      .slice(0, MAX_PODS)) {
      const [namespace = "", name = ""] = key.split("/");
      if (pod.stuck === undefined) continue;
      const stuck = this.#withCauses(key, pod.uid, pod.stuck);
      const diagnosis = await this.#diagnose(stuck, namespace, unread);
      const image = tellingOf(diagnosis)?.image ?? "";
      const row = { namespace, name, owner: ownerOf(pod), image, since: timeOf(stuck) };
      found.push({ uid: pod.uid, row, diagnosis, registry: registryFor(this.#view, image, namespace) });
    }
    return found;
  }

  /** Kubelets that do not repeat the cause while they wait said it before. */
  #withCauses(key: string, uid: string, now: StuckPod): StuckPod {
    const before = this.#causes.get(key);
    const stuck = before?.uid === uid ? rememberCauses(now, before.stuck) : now;
    if (this.#causes.size >= MAX_PODS) this.#causes.clear();
    this.#causes.set(key, { uid, stuck });
    return stuck;
  }

  async #diagnose(pod: StuckPod, namespaceName: string, unread: Set<string>): Promise<Diagnosis> {
    const view = this.#view;
    const namespace = view.namespaces.get("", namespaceName);
    const names = pod.pullSecretNames.filter((name) => /^[a-z0-9][a-z0-9.-]*$/.test(name));
    const states = new Map<string, PullSecretState>();
    for (const name of names.slice(0, 8)) {
      const state = await this.#secretState(namespaceName, name);
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

  /** Whose a Secret is, by its metadata: what is in it is never asked for. A string says why it is not known. */
  #secretState(namespace: string, name: string): Promise<PullSecretState | string> {
    const key = `${namespace}/${name}`;
    const now = Date.now();
    for (const [other, { at }] of this.#secrets) {
      // They are in the order of their age.
      if (now - at < SECRETS_KEPT_MS) break;
      this.#secrets.delete(other);
    }
    const known = this.#secrets.get(key);
    if (known !== undefined) return known.answer;
    if (this.#secrets.size >= MAX_SECRETS) return Promise.resolve({ kind: "unknown" });
    const { registries } = this.#view.joined();
    const isCopy = registries.some((each) => each.source !== undefined && each.secretName === name);
    const answer = readSecretMetadata(this.#apisFor, namespace, name).then(
      (secret): PullSecretState =>
        secret === undefined
          ? { kind: "missing" }
          : { kind: isCopy && !isManaged(secret) ? "not-owned" : "unknown" },
      (error: unknown) => {
        if (error instanceof KubeApiError || error instanceof KubeUnreachableError) return error.message;
        throw error;
      },
    );
    this.#secrets.set(key, { at: now, answer });
    return answer;
  }

  /** Of a namespace that did not opt in, only what a registry covers is Pullpass's business. */
  #isOurs({ row, diagnosis }: Found): boolean {
    return (
      this.#view.namespaces.get("", row.namespace)?.isOptedIn !== false ||
      diagnosis.code === "namespace-not-opted-in"
    );
  }

  async #addNextTry(found: readonly Found[], unread: Set<string>): Promise<readonly Listed[]> {
    const namespaces = new Set(found.map(({ row }) => row.namespace));
    const events = await this.#readEvents([...namespaces], FAILED_PULL_SELECTOR, unread);
    const failed = failedPullsIn(events);
    const now = Date.now();
    return found.map(({ uid, row, diagnosis, registry }) => {
      const { failure = "unknown", image = "" } = tellingOf(diagnosis) ?? {};
      const next = nextTry({ failure }, failed.get(failedPullsKey(uid, image)), now);
      return { row: { ...row, nextTry: next }, diagnosis, registry };
    });
  }

  async #listHealed(unread: Set<string>): Promise<readonly HealRow[] | null> {
    const healed = this.#view.namespaces
      .entries()
      .filter(([, { labels }]) => labels[HEAL_LABEL] === "enabled")
      .map(([name]) => name);
    if (healed.length === 0) return null;
    const stuck = this.#view.pods
      .entries()
      .filter(([, pod]) => pod.stuck !== undefined)
      .map(([, { owner }]) => controllerKey(owner.namespace, `${owner.kind}/${owner.name}`));
    const events = await this.#readEvents(healed, HEAL_EVENTS_SELECTOR, unread);
    const told = healEventsIn(events, new Set(stuck));
    return told.slice(0, MAX_HEAL_ROWS).map(({ namespace, controller, message, at, reason }) => ({
      ...{ namespace, owner: controller, message, at },
      state: HEAL_STATES[reason],
    }));
  }

  async #readEvents(namespaces: readonly string[], selector: string, unread: Set<string>) {
    const key = [selector, ...namespaces].join(" ");
    const now = Date.now();
    for (const [other, { at }] of this.#events) if (now - at > EVENTS_KEPT_MS) this.#events.delete(other);
    const read = () => ({ at: now, answer: readEvents(this.#transport, namespaces, selector) });
    const { events, refusals } = await this.#events.getOrInsertComputed(key, read).answer;
    for (const refusal of refusals) unread.add(refusal);
    return events;
  }
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
