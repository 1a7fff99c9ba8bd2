import { describe, expect, it } from "vitest";
import type { ContainerVerdict } from "../../src/core/diagnosis.ts";
import {
  couldHelp,
  decideHeal,
  LEAVE_ALONE_REASONS,
  type HealContext,
  type HealDecision,
  type LeaveReason,
  type PodWithStatus,
} from "../../src/core/heal.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";

const NOW = Date.parse("2026-11-26T12:00:00Z");

function pod({
  metadata = {},
  statuses = {},
  controller = { kind: "ReplicaSet", name: "app-1", uid: "u" },
}: {
  readonly metadata?: JsonObject;
  readonly statuses?: JsonObject;
  readonly controller?: JsonObject | "none";
} = {}): PodWithStatus {
  return {
    metadata: {
      creationTimestamp: "2026-11-26T11:59:00Z",
      labels: { app: "app" },
      ownerReferences: controller === "none" ? [] : [{ controller: true, ...controller }],
      ...metadata,
    },
    spec: { containers: [{ name: "main", image: "a.example.com/app" }] },
    status: {
      containerStatuses: [{ name: "main", restartCount: 0, lastState: {}, state: { waiting: {} } }],
      ...statuses,
    },
  };
}

const waiting = (more: Partial<ContainerVerdict> = {}): ContainerVerdict => ({
  ...{ code: "lacks-secret", sentence: "", advice: "", container: "main", image: "a.example.com/app" },
  ...{ failure: "unauthorized", lacking: ["pullpass-a"] },
  ...more,
});

const context = (more: Partial<HealContext> = {}): HealContext => ({
  ...{ isEnabled: true, containers: [waiting()], job: undefined, budgets: [], hasCopy: () => true },
  ...{ isWebhookReady: true, now: NOW },
  ...more,
});

const job = (spec: JsonObject, status: JsonObject = {}): Partial<HealContext> => ({ job: { spec, status } });
const JOB = pod({ controller: { kind: "Job", name: "build", uid: "u" } });
const IGNORED = {
  rules: [{ action: "FailJob" }, { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget" }] }],
};
const COUNTED = {
  rules: [{ action: "Count", onPodConditions: [{ type: "Other" }, { type: "DisruptionTarget" }] }],
};

const evicted = (kind = "ReplicaSet", name = "app-1"): HealDecision => ({
  kind: "evict",
  controller: { apiVersion: "", kind, name, uid: "u" },
});

describe("a pod that lacks what a new one would get", () => {
  it("is evicted", () => {
    expect(decideHeal(pod(), context())).toEqual(evicted());
  });

  it.each<[string, PodWithStatus, Partial<HealContext>, LeaveReason]>([
    ["its namespace did not opt in", pod(), { isEnabled: false }, "not-enabled"],
    [
      "it is a mirror",
      pod({ metadata: { annotations: { "kubernetes.io/config.mirror": "" } } }),
      {},
      "mirror-pod",
    ],
    [
      "it opted out",
      pod({ metadata: { labels: { "pullpass.dev/inject": "disabled" } } }),
      {},
      "pod-opted-out",
    ],
    [
      "it is terminating",
      pod({ metadata: { deletionTimestamp: "2026-11-26T12:00:00Z" } }),
      {},
      "terminating",
    ],
    ["it is bare", pod({ controller: "none" }), {}, "no-controller"],
    ["its owner is no controller", pod({ controller: { controller: false } }), {}, "no-controller"],
    ["its controller is another", pod({ controller: { kind: "TaskRun" } }), {}, "other-controller"],
    ["its controller has no kind", pod({ controller: {} }), {}, "other-controller"],
    ["its Job is not known", JOB, {}, "job-counts-failures"],
    ["its Job has one try", JOB, job({ backoffLimit: 0 }), "job-counts-failures"],
    ["its Job has one try left", JOB, job({ backoffLimit: 3 }, { failed: 2 }), "job-counts-failures"],
    ["its Job counts disruptions", JOB, job({ podFailurePolicy: COUNTED }), "job-counts-failures"],
    ["it is young", pod({ metadata: { creationTimestamp: "2026-11-26T11:59:31Z" } }), {}, "too-young"],
    ["its age is not known", pod({ metadata: { creationTimestamp: undefined } }), {}, "too-young"],
    [
      "a sidecar runs beside the stuck container",
      pod({ statuses: { initContainerStatuses: [{ state: { running: {} } }] } }),
      {},
      "has-run",
    ],
    [
      "an init container is done",
      pod({ statuses: { initContainerStatuses: [{ state: { terminated: { exitCode: 0 } } }] } }),
      {},
      "has-run",
    ],
    [
      "a container ran once",
      pod({ statuses: { containerStatuses: [{ state: { waiting: {} }, lastState: { terminated: {} } }] } }),
      {},
      "has-run",
    ],
    [
      "a container was restarted",
      pod({ statuses: { containerStatuses: [{ restartCount: 1 }] } }),
      {},
      "has-run",
    ],
    ["nothing waits", pod(), { containers: [] }, "not-refused"],
    [
      "an image is not there",
      pod(),
      { containers: [waiting(), waiting({ failure: "not-found" })] },
      "not-refused",
    ],
    [
      "it names its secret already",
      pod(),
      { containers: [waiting(), waiting({ lacking: [] })] },
      "lacks-nothing",
    ],
    ["the copy is not there", pod(), { hasCopy: () => false }, "copy-missing"],
    [
      "a budget forbids it",
      pod(),
      { budgets: [{ selector: { matchLabels: { app: "app" } }, disruptionsAllowed: 0 }] },
      "disruption-budget",
    ],
    ["new pods would be the same", pod(), { isWebhookReady: false }, "webhook-not-ready"],
  ])("is left alone where %s", (_, one, more, reason) => {
    expect(decideHeal(one, context(more))).toEqual({ kind: "leave", reason });
    expect(LEAVE_ALONE_REASONS[reason]).toMatch(/^[a-z]/);
  });

  it.each<[string, PodWithStatus, Partial<HealContext>, HealDecision]>([
    [
      "a StatefulSet",
      pod({ controller: { kind: "StatefulSet", name: "db", uid: "u" } }),
      {},
      evicted("StatefulSet", "db"),
    ],
    [
      "a DaemonSet",
      pod({ controller: { kind: "DaemonSet", name: "log", uid: "u" } }),
      {},
      evicted("DaemonSet", "log"),
    ],
    ["a Job with tries left", JOB, job({}), evicted("Job", "build")],
    [
      "a Job that ignores disruptions",
      JOB,
      job({ backoffLimit: 0, podFailurePolicy: IGNORED }),
      evicted("Job", "build"),
    ],
    [
      "a Job that waits for failed pods",
      JOB,
      job({ backoffLimit: 0, podReplacementPolicy: "Failed" }),
      evicted("Job", "build"),
    ],
    [
      "a Deployment with a budget that allows one",
      pod(),
      { budgets: [{ selector: {}, disruptionsAllowed: 1 }] },
      evicted(),
    ],
    [
      "a Deployment beside another one's budget",
      pod({ metadata: { labels: undefined } }),
      { budgets: [{ selector: { matchLabels: { app: "other" } }, disruptionsAllowed: 0 }] },
      evicted(),
    ],
    ["a Deployment, without a status", { ...pod(), status: undefined }, {}, evicted()],
  ])("is evicted where it belongs to %s", (_, one, more, decision) => {
    expect(decideHeal(one, context(more))).toEqual(decision);
  });
});

it.each<[ContainerVerdict[], boolean]>([
  [[waiting()], true],
  [[waiting(), waiting({ lacking: [] })], false],
  [[waiting(), waiting({ failure: "not-found" })], false],
])("%#: asks further only where an eviction could help", (containers, expected) => {
  expect(couldHelp(containers)).toBe(expected);
});
