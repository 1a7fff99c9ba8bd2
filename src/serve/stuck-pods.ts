/** Watches pods that cannot pull, says why at what created them, and counts them: the leader alone. */
import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import { indexConfiguration, type Configuration } from "../config/configuration.ts";
import { diagnoseStuckPod, type Diagnosis, type PodWithStatus } from "../core/diagnosis.ts";
import { getString, type ServiceAccountInfo } from "../core/kubernetes.ts";
import type { PullSecretState } from "../core/pull-secret.ts";
import type { RegistryIndex } from "../core/registry.ts";
import { readStuckPod, rememberCauses, type StuckPod } from "../core/stuck-pod.ts";
import { VERDICTS, type VerdictCode } from "../core/verdicts.ts";
import { createTtlSet } from "../kube/event-recorder.ts";
import type { Informer } from "../kube/informer.ts";
import { PENDING_PODS, readPendingPod, type PendingPod } from "../kube/resources/pending-pods.ts";
import type { ClusterRegistry } from "../kube/resources/cluster-registries.ts";
import { createStringPool } from "../kube/string-pool.ts";
import type { Warn } from "../replicator/ports.ts";
import type { Informers } from "./informers.ts";
import type { OptIns } from "./opt-ins.ts";

export interface StuckPodsOptions {
  readonly informers: Pick<Informers, "create" | "stop">;
  readonly optIns: Pick<OptIns, "get" | "optedInAt">;
  readonly serviceAccount: (namespace: string, name: string) => ServiceAccountInfo | undefined;
  readonly pullSecret: (namespace: string, name: string) => PullSecretState;
  readonly warn: Warn;
  readonly logger: Pick<Logger, "warn">;
  /** A pod has waited for an image for some seconds, by all that is known now for that reason. */
  readonly onStuck?: (pod: StuckPodName, diagnosis: Diagnosis) => void;
}

export interface StuckPodName {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** What created it, or the pod itself. */
  readonly owner: { readonly uid: string };
}

export interface StuckPods {
  /** The registries of file and cluster, and the objects that some of them come from. */
  setRegistries(configuration: Configuration, objects: readonly ClusterRegistry[]): void;
  /** A label, a copy, or what is known of them may be different. */
  readonly schedule: () => void;
  /** By all that is known now; undefined where the namespace did not opt in. */
  readonly diagnose: (namespace: string, pod: PodWithStatus) => Diagnosis | undefined;
  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void;
  /** Pods by verdict, with a number for each; empty while this replica does not lead. */
  readonly counts: () => ReadonlyMap<VerdictCode, number>;
}

/** Between two looks: several changes make one, and new ones show within this and {@link PATIENCE_MS}. */
const LOOK_MS = 5_000;
/** A pod that is created with its namespace may wait for its copies, and kubelet tries again after 10 s. */
const PATIENCE_MS = 10_000;
/** A diagnosis takes about 50 µs. Reviews are answered in between. */
const LOOKED_AT_ONCE = 50;
/** 36 a minute: the recorder writes 60, and others have to be heard, too. */
const WARNINGS_A_LOOK = 3;
const REPEAT_AFTER_MS = 60 * 60_000;
/** Some hundred bytes each. */
const MAX_REMEMBERED = 10_000;
/**
 * Of what all of them say: room for 10,000 pods with the longest image and message, however many a tenant creates. Replicas
 * share most of it.
 */
const MAX_CHARACTERS = 16 * 1024 * 1024;
const LABEL = "pending pods";

/** A pod that waits for an image. */
interface Entry {
  readonly namespace: string;
  readonly name: string;
  readonly since: number;
  readonly pod: PendingPod;
  readonly stuck: StuckPod;
  /** Undefined until it has waited for long enough, and where its namespace did not opt in. */
  verdict: VerdictCode | undefined;
  isDue: boolean;
  /** There was no room for its warning. */
  isUnreported: boolean;
  readonly characters: number;
}

export function createStuckPods(options: StuckPodsOptions): StuckPods {
  const { informers, optIns, warn, logger } = options;
  const entries = new Map<string, Entry>();
  const reported = createTtlSet({ ttlMs: REPEAT_AFTER_MS, maxKeys: MAX_REMEMBERED });
  let index: RegistryIndex | undefined;
  let createdAt: ReadonlyMap<string, number> = new Map();
  let isLeading = false;
  let isLooking = false;
  let areAllDue = false;
  let characters = 0;
  let isFull = false;

  function put(namespace: string, name: string, pod: PendingPod | undefined): void {
    const key = `${namespace}/${name}`;
    const before = entries.get(key);
    characters -= before?.characters ?? 0;
    if (pod?.stuck === undefined) {
      entries.delete(key);
      return;
    }
    const isSame = before?.pod.uid === pod.uid;
    const stuck = isSame ? rememberCauses(pod.stuck, before.stuck) : pod.stuck;
    const own = charactersIn(stuck);
    if (characters + own > MAX_CHARACTERS) {
      entries.delete(key);
      pod.stuck = undefined;
      if (!isFull) logger.warn({ pods: entries.size }, "too many stuck pods; the rest are not counted");
      isFull = true;
      return;
    }
    characters += own;
    if (characters < MAX_CHARACTERS / 2) isFull = false;
    const { since, verdict, isUnreported } = isSame
      ? before
      : { since: Date.now(), verdict: undefined, isUnreported: false };
    const state = { since, verdict, isDue: true, isUnreported };
    entries.set(key, { namespace, name, pod, stuck, characters: own, ...state });
  }

  async function look(): Promise<void> {
    if (isLooking) return;
    isLooking = true;
    if (areAllDue) for (const entry of entries.values()) entry.isDue = true;
    areAllDue = false;
    let looked = 0;
    let room = WARNINGS_A_LOOK;
    for (const entry of entries.values()) {
      if (Date.now() - entry.since < PATIENCE_MS) continue;
      if (!entry.isDue && !(entry.isUnreported && room > 0)) continue;
      entry.isDue = false;
      const { namespace, name, stuck, pod } = entry;
      const diagnosis = diagnose(namespace, stuck, pod.serviceAccountName);
      entry.verdict = diagnosis?.code;
      if (diagnosis !== undefined) {
        if (report(entry, diagnosis, room > 0)) room--;
        options.onStuck?.({ namespace, name, uid: pod.uid, owner: pod.owner }, diagnosis);
      }
      if (++looked % LOOKED_AT_ONCE === 0) await setImmediate();
      if (!isLeading) break;
    }
    isLooking = false;
  }

  function diagnose(name: string, pod: StuckPod, serviceAccountName: string): Diagnosis | undefined {
    const namespace = optIns.get(name);
    if (namespace === undefined || index === undefined) return undefined;
    return diagnoseStuckPod(pod, {
      ...{ namespace, index, now: Date.now(), optedInAt: optIns.optedInAt(name) },
      serviceAccount: options.serviceAccount(name, serviceAccountName),
      pullSecret: (secretName) => options.pullSecret(name, secretName),
      registryCreatedAt: (registry) => createdAt.get(registry.name),
    });
  }

  /** Once per cause and hour, whichever of the owner's pods has it. True if a warning was written. */
  function report(
    entry: Entry,
    { code, sentence, advice, containers }: Diagnosis,
    hasRoom: boolean,
  ): boolean {
    const { owner } = entry.pod;
    const images = containers.map(({ image }) => image);
    const key = JSON.stringify([owner.namespace, owner.uid, code, images]);
    entry.isUnreported = !hasRoom;
    if (!hasRoom || !reported.add(key, performance.now())) return false;
    const message = `Pod ${entry.name} cannot pull. ${sentence} ${advice}`;
    warn({ reason: "CannotPull", message, object: owner });
    return true;
  }

  return {
    setRegistries(configuration, objects) {
      index = indexConfiguration(configuration, true);
      const fromObjects = new Set(
        configuration.registries.filter(({ list }) => list === "objects").map(({ name }) => name),
      );
      createdAt = new Map(
        objects
          .filter(({ name }) => fromObjects.has(name))
          .map((object) => [object.name, Date.parse(object.createdAt)]),
      );
      areAllDue = true;
    },
    schedule() {
      areAllDue = true;
    },
    diagnose: (namespace, pod) =>
      diagnose(namespace, readStuckPod(pod), getString(pod.spec, "serviceAccountName") ?? "default"),
    start(signal) {
      isLeading = true;
      const pool = createStringPool();
      const pods: Informer<PendingPod> = informers.create(LABEL, {
        collection: PENDING_PODS,
        project: (object) => readPendingPod(object, pool),
        pool,
      });
      pods.subscribe(put);
      pods.start();
      const timer = setInterval(() => void look(), LOOK_MS).unref();
      signal.addEventListener("abort", () => {
        isLeading = false;
        clearInterval(timer);
        informers.stop(LABEL);
        entries.clear();
      });
    },
    counts() {
      if (!isLeading) return new Map();
      const codes = (Object.keys(VERDICTS) as VerdictCode[]).filter((code) => code !== "nothing-wrong");
      const counts = new Map<VerdictCode, number>(codes.map((code) => [code, 0]));
      for (const { verdict } of entries.values()) {
        if (verdict !== undefined) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
      }
      return counts;
    },
  };
}

function charactersIn({ pullSecretNames, waiting }: StuckPod): number {
  const strings = [
    ...pullSecretNames,
    ...waiting.flatMap(({ container, image, text }) => [container, image, text]),
  ];
  return strings.reduce((sum, { length }) => sum + length, 0);
}
