/** Watches pods that cannot pull, says why at what created them, and counts them: the leader alone. */
import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import { indexConfiguration, type Configuration } from "../config/configuration.ts";
import { diagnoseStuckPod, type Diagnosis, type PodWithStatus } from "../core/diagnosis.ts";
import { getString, type ServiceAccountInfo } from "../core/kubernetes.ts";
import type { PullSecretState } from "../core/pull-secret.ts";
import type { RegistryIndex } from "../core/registry.ts";
import { readStuckPod, type StuckPod } from "../core/stuck-pod.ts";
import { VERDICTS, type VerdictCode } from "../core/verdicts.ts";
import { createTtlSet } from "../kube/event-recorder.ts";
import type { Informer } from "../kube/informer.ts";
import { PENDING_PODS, readPendingPod, type PendingPod } from "../kube/resources/pending-pods.ts";
import type { ClusterRegistry } from "../kube/resources/cluster-registries.ts";
import { createStringPool } from "../kube/string-pool.ts";
import type { Warn } from "../replicator/ports.ts";
import type { Informers } from "./informers.ts";
import type { OptIns } from "./opt-ins.ts";
import { WaitingPods, type WaitingPod } from "./waiting-pods.ts";

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
const LABEL = "pending pods";

interface KnownRegistries {
  readonly index: RegistryIndex;
  /** Of those that come from objects, by their name; in Unix time, in milliseconds. */
  readonly createdAt: ReadonlyMap<string, number>;
}

export class StuckPods {
  readonly #options: StuckPodsOptions;
  readonly #waiting: WaitingPods;
  readonly #reported = createTtlSet({ ttlMs: REPEAT_AFTER_MS, maxKeys: MAX_REMEMBERED });
  #registries: KnownRegistries | undefined;
  #isLeading = false;
  #isLooking = false;
  #areAllDue = false;

  constructor(options: StuckPodsOptions) {
    this.#options = options;
    this.#waiting = new WaitingPods(options.logger);
  }

  /** The registries of file and cluster, and the objects that some of them come from. */
  setRegistries(configuration: Configuration, objects: readonly ClusterRegistry[]): void {
    const fromObjects = new Set(
      configuration.registries.filter(({ list }) => list === "objects").map(({ name }) => name),
    );
    this.#registries = {
      index: indexConfiguration(configuration, true),
      createdAt: new Map(
        objects
          .filter(({ name }) => fromObjects.has(name))
          .map((object) => [object.name, Date.parse(object.createdAt)]),
      ),
    };
    this.#areAllDue = true;
  }

  /** A label, a copy, or what is known of them may be different. */
  schedule(): void {
    this.#areAllDue = true;
  }

  /** By all that is known now; undefined where the namespace did not opt in. */
  diagnose(namespace: string, pod: PodWithStatus): Diagnosis | undefined {
    const account = getString(pod.spec, "serviceAccountName") ?? "default";
    return this.#diagnose(namespace, readStuckPod(pod), account);
  }

  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void {
    const { informers } = this.#options;
    this.#isLeading = true;
    const pool = createStringPool();
    const pods: Informer<PendingPod> = informers.create(LABEL, {
      collection: PENDING_PODS,
      project: (object) => readPendingPod(object, pool),
      pool,
    });
    pods.subscribe((namespace, name, pod) => {
      this.#waiting.put(namespace, name, pod);
    });
    pods.start();
    const timer = setInterval(() => void this.#look(), LOOK_MS).unref();
    signal.addEventListener("abort", () => {
      this.#isLeading = false;
      clearInterval(timer);
      informers.stop(LABEL);
      this.#waiting.clear();
    });
  }

  /** Pods by verdict, with a number for each; empty while this replica does not lead. */
  counts(): ReadonlyMap<VerdictCode, number> {
    if (!this.#isLeading) return new Map();
    const codes = (Object.keys(VERDICTS) as VerdictCode[]).filter((code) => code !== "nothing-wrong");
    const counts = new Map<VerdictCode, number>(codes.map((code) => [code, 0]));
    for (const { verdict } of this.#waiting.values()) {
      if (verdict !== undefined) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    }
    return counts;
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    if (this.#areAllDue) for (const entry of this.#waiting.values()) entry.isDue = true;
    this.#areAllDue = false;
    let looked = 0;
    let room = WARNINGS_A_LOOK;
    for (const entry of this.#waiting.values()) {
      if (Date.now() - entry.since < PATIENCE_MS) continue;
      if (!entry.isDue && !(entry.isUnreported && room > 0)) continue;
      if (this.#lookAt(entry, room > 0)) room--;
      if (++looked % LOOKED_AT_ONCE === 0) await setImmediate();
      if (!this.#isLeading) break;
    }
    this.#isLooking = false;
  }

  /** True if a warning was written. */
  #lookAt(entry: WaitingPod, hasRoom: boolean): boolean {
    const { namespace, name, stuck, pod } = entry;
    entry.isDue = false;
    const diagnosis = this.#diagnose(namespace, stuck, pod.serviceAccountName);
    entry.verdict = diagnosis?.code;
    if (diagnosis === undefined) return false;
    const isWarned = this.#report(entry, diagnosis, hasRoom);
    this.#options.onStuck?.({ namespace, name, uid: pod.uid, owner: pod.owner }, diagnosis);
    return isWarned;
  }

  #diagnose(name: string, pod: StuckPod, serviceAccountName: string): Diagnosis | undefined {
    const { optIns, serviceAccount, pullSecret } = this.#options;
    const namespace = optIns.get(name);
    if (namespace === undefined || this.#registries === undefined) return undefined;
    const { index, createdAt } = this.#registries;
    return diagnoseStuckPod(pod, {
      ...{ namespace, index, now: Date.now(), optedInAt: optIns.optedInAt(name) },
      serviceAccount: serviceAccount(name, serviceAccountName),
      pullSecret: (secretName) => pullSecret(name, secretName),
      registryCreatedAt: (registry) => createdAt.get(registry.name),
    });
  }

  /** Once per cause and hour, whichever of the owner's pods has it. True if a warning was written. */
  #report(entry: WaitingPod, { code, sentence, advice, containers }: Diagnosis, hasRoom: boolean): boolean {
    const { owner } = entry.pod;
    const images = containers.map(({ image }) => image);
    const key = JSON.stringify([owner.namespace, owner.uid, code, images]);
    entry.isUnreported = !hasRoom;
    if (!hasRoom || !this.#reported.add(key, performance.now())) return false;
    const message = `Pod ${entry.name} cannot pull. ${sentence} ${advice}`;
    this.#options.warn({ reason: "CannotPull", message, object: owner });
    return true;
  }
}
