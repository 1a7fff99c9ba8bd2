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
import { createSuccessorWatch, createTokenBucket, dropOldest } from "./heal-limits.ts";

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

export interface Healer {
  /** A pod waits for an image, whatever the reason. */
  readonly consider: (
    pod: PodName & { readonly uid: string; readonly owner: { readonly uid: string } },
    containers: readonly ContainerVerdict[],
  ) => void;
  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void;
}

interface Candidate extends PodName {
  readonly uid: string;
  lookAt: number;
}

export function createHealer(options: HealOptions): Healer {
  const { mode, apisFor, isEnabledIn, logger } = options;
  const timings = { ...DEFAULT_TIMINGS, ...options.timings };
  /** By uid. */
  const candidates = new Map<string, Candidate>();
  /** What was said last of a pod, by uid, so that it is said once. */
  const said = new Map<string, LeaveReason | "would-evict">();
  const watch = createSuccessorWatch({
    ...timings,
    maxControllers: MAX_REMEMBERED,
    hasPendingSuccessor: (namespace, uid, since) => hasPendingSuccessor(apisFor, namespace, uid, since),
    onNoBetter(candidate, controller) {
      const message = `The pod that replaced an evicted one, ${candidate.name}, cannot pull either. Pullpass evicts no other pod of ${controller.kind} ${controller.name} for an hour.`;
      options.report(candidate.namespace, controller, "EvictionDidNotHelp", message);
      options.onOutcome("did-not-help");
      logger.warn({ ...facts(candidate), controller: describe(controller) }, "an eviction did not help");
    },
  });
  const takeToken = createTokenBucket(BURST, timings.evictionIntervalMs);

  const consider: Healer["consider"] = ({ namespace, name, uid, owner }, containers) => {
    if (!isEnabledIn(namespace) || candidates.has(uid) || candidates.size >= MAX_REMEMBERED) return;
    // A pod that lacks nothing may be the next one of a controller, and no better.
    if (couldHelp(containers) || watch.has(owner.uid)) {
      candidates.set(uid, { namespace, name, uid, lookAt: Date.now() });
    }
  };

  async function lookAtAll(signal: AbortSignal): Promise<void> {
    for (const candidate of [...candidates.values()]) {
      if (signal.aborted) return;
      if (candidate.lookAt > Date.now()) continue;
      candidate.lookAt = Date.now() + timings.lookAgainMs;
      try {
        if ((await look(candidate)) === "done") candidates.delete(candidate.uid);
      } catch (error) {
        logger.warn(
          { ...facts(candidate), error: messageOf(error) },
          "failed to look at a stuck pod; retrying",
        );
      }
    }
  }

  /** `done`: there is nothing more to do about this pod, as far as anybody knows now. */
  async function look(candidate: Candidate): Promise<"done" | "again"> {
    const { namespace, uid } = candidate;
    const found = await readPod(apisFor, candidate);
    const json = found === undefined ? undefined : asJson(found);
    const pod = json && asPod(json);
    if (json === undefined || pod === undefined || readMetadata(json).uid !== uid) return "done";
    const { status } = json;
    if (!isObject(status) || status["phase"] !== "Pending") return "done";
    const withStatus: PodWithStatus = { ...pod, status };
    const containers = options.diagnose(namespace, withStatus);
    if (containers.length === 0) return "done";
    const controller = controllerOf(withStatus);
    if (controller !== undefined) {
      const createdAt = Date.parse(String(pod.metadata["creationTimestamp"]));
      if (await watch.isWatched({ ...candidate, createdAt }, controller)) return "again";
    }

    const context = {
      isEnabled: isEnabledIn(namespace),
      containers,
      job: controller?.kind === "Job" ? await jobOf(namespace, controller) : undefined,
      hasCopy: (secretName: string) => options.hasCopy(namespace, secretName),
      now: Date.now(),
    };
    // Most are left alone for what is known already.
    let decision = decideHeal(withStatus, { ...context, budgets: [], isWebhookReady: true });
    if (decision.kind === "evict") {
      const budgets = await listBudgets(apisFor, namespace);
      const isWebhookReady = await options.isWebhookReady();
      decision = decideHeal(withStatus, { ...context, budgets, isWebhookReady });
    }
    if (decision.kind === "leave") {
      const { reason } = decision;
      if (isNews(uid, reason)) tellLeftAlone(candidate, controller, reason);
      return PASSING.has(reason) ? "again" : "done";
    }
    return act(candidate, readMetadata(json).resourceVersion, decision.controller);
  }

  async function jobOf(
    namespace: string,
    { name }: Controller,
  ): Promise<ReturnType<typeof asJson> | undefined> {
    const job = await readJob(apisFor, { namespace, name });
    return job && asJson(job);
  }

  function tellLeftAlone(
    candidate: Candidate,
    controller: Controller | undefined,
    reason: LeaveReason,
  ): void {
    const because = LEAVE_ALONE_REASONS[reason];
    logger.info({ ...facts(candidate), reason }, `a stuck pod is left alone: ${because}`);
    if (!WORTH_TELLING.has(reason)) return;
    const { namespace, name, uid } = candidate;
    // The same sentence for all pods of a controller is one Event.
    const message = `A pod that cannot pull is left alone: ${because}.`;
    options.report(
      namespace,
      controller ?? { apiVersion: "v1", kind: "Pod", name, uid },
      "LeftAlone",
      message,
    );
  }

  async function act(
    candidate: Candidate,
    resourceVersion: string,
    controller: Controller,
  ): Promise<"done" | "again"> {
    const { namespace, name, uid } = candidate;
    const described = { ...facts(candidate), controller: describe(controller) };
    if (mode === "dry-run") {
      if (isNews(uid, "would-evict")) {
        options.onOutcome("would-evict");
        logger.info(described, "dry run: would evict a stuck pod");
      }
      return "again";
    }
    if (!takeToken()) return "again";
    const outcome = await evict(apisFor, { namespace, name, uid, resourceVersion });
    if (outcome === "not-leading") return "done";
    if (outcome !== "evicted") {
      if (outcome === "refused") options.onOutcome("refused");
      logger.info({ ...described, outcome }, "a stuck pod was not evicted");
      return "again";
    }
    watch.add(controller.uid, uid);
    options.onOutcome("evicted");
    const message = `Evicted pod ${name}, which could not pull its images and lacked pull secrets that its replacement gets.`;
    options.report(namespace, controller, "EvictedToPull", message);
    logger.info(described, "evicted a stuck pod");
    return "done";
  }

  function isNews(uid: string, what: LeaveReason | "would-evict"): boolean {
    const before = said.get(uid);
    said.delete(uid);
    said.set(uid, what);
    dropOldest(said, MAX_REMEMBERED);
    return before !== what;
  }

  return {
    consider,
    start(signal) {
      let isLooking = false;
      const timer = setInterval(() => {
        if (isLooking) return;
        isLooking = true;
        void lookAtAll(signal).finally(() => {
          isLooking = false;
        });
      }, ROUND_MS).unref();
      signal.addEventListener("abort", () => {
        clearInterval(timer);
      });
    },
  };
}

/** Between two rounds; each looks only at what is due. */
const ROUND_MS = 1_000;

/** The others hold until the pod, a registry or a copy changes, with which the pod is considered again. */
const PASSING: ReadonlySet<LeaveReason> = new Set([
  ...(["too-young", "copy-missing", "disruption-budget"] as const),
  ...(["job-counts-failures", "webhook-not-ready"] as const),
]);

function facts({ namespace, name }: PodName): { readonly namespace: string; readonly pod: string } {
  return { namespace, pod: name };
}

function describe({ kind, name }: Controller): string {
  return `${kind}/${name}`;
}
