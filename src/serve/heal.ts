/** Evicts pods that cannot pull, so that their controllers create ones that can: the leader alone, and with care. */
import type { Logger } from "pino";
import type { ContainerVerdict } from "../core/diagnosis.ts";
import { messageOf } from "../core/error-message.ts";
import {
  controllerOf,
  couldHelp,
  decideHeal,
  LEAVE_ALONE_REASONS,
  WORTH_TELLING,
  type Controller,
  type HealDecision,
  type LeaveReason,
  type PodWithStatus,
} from "../core/heal.ts";
import type { HealEventReason } from "../core/heal-events.ts";
import { isObject } from "../core/kubernetes.ts";
import { asPod } from "../core/pod.ts";
import type { ApisFor } from "../kube/api.ts";
import {
  asJson,
  evict,
  hasPendingSuccessor,
  listBudgets,
  readJob,
  readPod,
  type PodName,
} from "../kube/resources/evictions.ts";
import { readMetadata } from "../kube/resources/metadata.ts";
import { createSuccessorWatch, createTokenBucket, dropOldest, type SuccessorWatch } from "./heal-limits.ts";
import type { StuckPodName } from "./stuck-pods.ts";

export type HealMode = "on" | "dry-run";

export interface HealOptions {
  readonly mode: HealMode;
  /** Its writes are sent only while this replica leads. */
  readonly apisFor: ApisFor;
  /** The namespace opted in, to Pullpass and to heal. */
  readonly isEnabledIn: (namespace: string) => boolean;
  /** What keeps the containers of a pod waiting, by all that is known now. */
  readonly diagnose: (namespace: string, pod: PodWithStatus) => readonly ContainerVerdict[];
  readonly hasCopy: (namespace: string, secretName: string) => boolean;
  readonly isWebhookReady: () => Promise<boolean>;
  /** Tells people at the controller, or at a pod that has none, what was done, or why nothing is. */
  readonly report: (
    namespace: string,
    controller: Controller,
    reason: HealEventReason,
    message: string,
  ) => void;
  readonly onOutcome: (outcome: HealOutcome) => void;
  readonly logger: Logger;
  readonly timings?: Partial<HealTimings>;
}

export type HealOutcome = "evicted" | "would-evict" | "did-not-help" | "refused";

export interface HealTimings {
  /** Between two looks at a pod that was left alone. */
  readonly lookAgainMs: number;
  /** So long a controller's next pod is watched at least. */
  readonly successorMs: number;
  /** No pod of a controller is touched for so long where its next pod was no better. */
  readonly handsOffMs: number;
  /** One eviction in so long, after the burst. */
  readonly evictionIntervalMs: number;
}

const DEFAULT_TIMINGS: HealTimings = {
  lookAgainMs: 10_000,
  successorMs: 30_000,
  handsOffMs: 60 * 60_000,
  // Ten a minute.
  evictionIntervalMs: 6_000,
};
const BURST = 5;
/** Pods that wait for a look, or were left alone, and controllers that are watched. */
const MAX_REMEMBERED = 10_000;

/** Between two rounds; each looks only at what is due. */
const ROUND_MS = 1_000;

/** The others hold until the pod, a registry or a copy changes, with which the pod is considered again. */
const PASSING: ReadonlySet<LeaveReason> = new Set([
  ...(["too-young", "copy-missing", "disruption-budget"] as const),
  ...(["job-counts-failures", "webhook-not-ready"] as const),
]);

interface Candidate extends PodName {
  readonly uid: string;
  lookAt: number;
}

/** `done`: there is nothing more to do about the pod, as far as anybody knows now. */
type Look = "done" | "again";

export class Healer {
  readonly #options: HealOptions;
  readonly #timings: HealTimings;
  /** By uid. */
  readonly #candidates = new Map<string, Candidate>();
  /** What was said last of a pod, by uid, so that it is said once. */
  readonly #said = new Map<string, LeaveReason | "would-evict">();
  readonly #watch: SuccessorWatch;
  readonly #takeToken: () => boolean;

  constructor(options: HealOptions) {
    const { apisFor } = options;
    this.#options = options;
    this.#timings = { ...DEFAULT_TIMINGS, ...options.timings };
    this.#watch = createSuccessorWatch({
      ...this.#timings,
      maxControllers: MAX_REMEMBERED,
      hasPendingSuccessor: (namespace, uid, since) => hasPendingSuccessor(apisFor, namespace, uid, since),
      onNoBetter: (pod, controller) => {
        this.#reportNoBetter(pod, controller);
      },
    });
    this.#takeToken = createTokenBucket(BURST, this.#timings.evictionIntervalMs);
  }

  /** A pod waits for an image, whatever the reason. */
  consider(pod: StuckPodName, containers: readonly ContainerVerdict[]): void {
    const { namespace, name, uid, owner } = pod;
    if (!this.#options.isEnabledIn(namespace) || this.#candidates.has(uid)) return;
    if (this.#candidates.size >= MAX_REMEMBERED) return;
    // A pod that lacks nothing may be the next one of a controller, and no better.
    if (couldHelp(containers) || this.#watch.has(owner.uid)) {
      this.#candidates.set(uid, { namespace, name, uid, lookAt: Date.now() });
    }
  }

  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void {
    let isLooking = false;
    const timer = setInterval(() => {
      if (isLooking) return;
      isLooking = true;
      void this.#lookAtAll(signal).finally(() => {
        isLooking = false;
      });
    }, ROUND_MS).unref();
    signal.addEventListener("abort", () => {
      clearInterval(timer);
    });
  }

  async #lookAtAll(signal: AbortSignal): Promise<void> {
    for (const candidate of [...this.#candidates.values()]) {
      if (signal.aborted) return;
      if (candidate.lookAt > Date.now()) continue;
      candidate.lookAt = Date.now() + this.#timings.lookAgainMs;
      try {
        if ((await this.#look(candidate)) === "done") this.#candidates.delete(candidate.uid);
      } catch (error) {
        this.#options.logger.warn(
          { ...facts(candidate), error: messageOf(error) },
          "failed to look at a stuck pod; retrying",
        );
      }
    }
  }

  async #look(candidate: Candidate): Promise<Look> {
    const { namespace, uid } = candidate;
    const found = await readPod(this.#options.apisFor, candidate);
    const json = found === undefined ? undefined : asJson(found);
    const pod = json && asPod(json);
    if (json === undefined || pod === undefined || readMetadata(json).uid !== uid) return "done";
    const { status } = json;
    if (!isObject(status) || status["phase"] !== "Pending") return "done";
    const withStatus: PodWithStatus = { ...pod, status };
    const containers = this.#options.diagnose(namespace, withStatus);
    if (containers.length === 0) return "done";
    const controller = controllerOf(withStatus);
    if (controller !== undefined) {
      const createdAt = Date.parse(String(pod.metadata["creationTimestamp"]));
      if (await this.#watch.isWatched({ ...candidate, createdAt }, controller)) return "again";
    }
    const decision = await this.#decide(namespace, withStatus, controller, containers);
    if (decision.kind === "evict") {
      return this.#evict(candidate, readMetadata(json).resourceVersion, decision.controller);
    }
    const { reason } = decision;
    if (this.#isNews(uid, reason)) this.#tellLeftAlone(candidate, controller, reason);
    return PASSING.has(reason) ? "again" : "done";
  }

  async #decide(
    namespace: string,
    pod: PodWithStatus,
    controller: Controller | undefined,
    containers: readonly ContainerVerdict[],
  ): Promise<HealDecision> {
    const { apisFor, isEnabledIn, hasCopy, isWebhookReady } = this.#options;
    const context = {
      isEnabled: isEnabledIn(namespace),
      containers,
      job: controller?.kind === "Job" ? await this.#jobOf(namespace, controller) : undefined,
      hasCopy: (secretName: string) => hasCopy(namespace, secretName),
      now: Date.now(),
    };
    // Most are left alone for what is known already.
    const decision = decideHeal(pod, { ...context, budgets: [], isWebhookReady: true });
    if (decision.kind === "leave") return decision;
    const budgets = await listBudgets(apisFor, namespace);
    return decideHeal(pod, { ...context, budgets, isWebhookReady: await isWebhookReady() });
  }

  async #jobOf(namespace: string, { name }: Controller): Promise<ReturnType<typeof asJson> | undefined> {
    const job = await readJob(this.#options.apisFor, { namespace, name });
    return job && asJson(job);
  }

  #tellLeftAlone(candidate: Candidate, controller: Controller | undefined, reason: LeaveReason): void {
    const { mode, logger, report } = this.#options;
    const because = LEAVE_ALONE_REASONS[reason];
    logger.info({ ...facts(candidate), reason }, `a stuck pod is left alone: ${because}`);
    if (mode === "dry-run" || !WORTH_TELLING.has(reason)) return;
    const { namespace, name, uid } = candidate;
    // The same sentence for all pods of a controller is one Event.
    const message = `A pod that cannot pull is left alone: ${because}.`;
    report(namespace, controller ?? { apiVersion: "v1", kind: "Pod", name, uid }, "LeftAlone", message);
  }

  async #evict(candidate: Candidate, resourceVersion: string, controller: Controller): Promise<Look> {
    const { mode, apisFor, report, onOutcome, logger } = this.#options;
    const { namespace, name, uid } = candidate;
    const described = { ...facts(candidate), controller: describe(controller) };
    if (mode === "dry-run") {
      if (this.#isNews(uid, "would-evict")) {
        onOutcome("would-evict");
        logger.info(described, "dry run: would evict a stuck pod");
      }
      return "again";
    }
    if (!this.#takeToken()) return "again";
    const outcome = await evict(apisFor, { namespace, name, uid, resourceVersion });
    if (outcome === "not-leading") return "done";
    if (outcome !== "evicted") {
      if (outcome === "refused") onOutcome("refused");
      logger.info({ ...described, outcome }, "a stuck pod was not evicted");
      return "again";
    }
    this.#watch.add(controller.uid, uid);
    onOutcome("evicted");
    const message = `Evicted pod ${name}, which could not pull its images and lacked pull secrets that its replacement gets.`;
    report(namespace, controller, "EvictedToPull", message);
    logger.info(described, "evicted a stuck pod");
    return "done";
  }

  #reportNoBetter(pod: PodName, controller: Controller): void {
    const { report, onOutcome, logger } = this.#options;
    const message = `The pod that replaced an evicted one, ${pod.name}, cannot pull either. Pullpass evicts no other pod of ${controller.kind} ${controller.name} for an hour.`;
    report(pod.namespace, controller, "EvictionDidNotHelp", message);
    onOutcome("did-not-help");
    logger.warn({ ...facts(pod), controller: describe(controller) }, "an eviction did not help");
  }

  #isNews(uid: string, what: LeaveReason | "would-evict"): boolean {
    const before = this.#said.get(uid);
    this.#said.delete(uid);
    this.#said.set(uid, what);
    dropOldest(this.#said, MAX_REMEMBERED);
    return before !== what;
  }
}

function facts({ namespace, name }: PodName): { readonly namespace: string; readonly pod: string } {
  return { namespace, pod: name };
}

function describe({ kind, name }: Controller): string {
  return `${kind}/${name}`;
}
