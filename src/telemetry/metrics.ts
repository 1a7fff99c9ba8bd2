/** Metrics for Prometheus. Labels are bounded: reasons and names of configured registries, never images or namespaces. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry as MetricRegistry } from "prom-client";
import type { ReviewObserver } from "../admission/measured.ts";

export interface Metrics {
  readonly contentType: string;
  render(): Promise<string>;
  readonly observeReview: ReviewObserver;
  countRejected(status: number): void;
  countReload(isGood: boolean): void;
  setCertificateExpiry(date: Date): void;
}

/** Reviews take microseconds; the API server gives up after seconds. */
const DURATION_BUCKETS_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1];

export function createMetrics(): Metrics {
  const registry = new MetricRegistry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const reviews = new Counter({
    name: "pullpass_reviews_total",
    help: "AdmissionReviews answered, by decision and reason.",
    labelNames: ["decision", "reason"],
    registers,
  });
  const duration = new Histogram({
    name: "pullpass_review_duration_seconds",
    help: "Time to decide one AdmissionReview, without reading and writing it.",
    buckets: DURATION_BUCKETS_SECONDS,
    registers,
  });
  const injections = new Counter({
    name: "pullpass_injections_total",
    help: "Pods that were given a registry's pull secret.",
    labelNames: ["registry"],
    registers,
  });
  const rejected = new Counter({
    name: "pullpass_rejected_requests_total",
    help: "Requests that were no AdmissionReview, by HTTP status.",
    labelNames: ["status"],
    registers,
  });
  const reloads = new Counter({
    name: "pullpass_configuration_reloads_total",
    help: "Changes of the configuration that were taken over (good) or left out (bad).",
    labelNames: ["result"],
    registers,
  });
  const expiry = new Gauge({
    name: "pullpass_certificate_expiry_timestamp_seconds",
    help: "When the serving certificate ends, in Unix time.",
    registers,
  });

  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    observeReview({ decision, durationSeconds }) {
      reviews.inc({ decision: decision.kind, reason: decision.kind === "skip" ? decision.reason : "needed" });
      duration.observe(durationSeconds);
      if (decision.kind === "inject")
        for (const { name } of decision.registries) injections.inc({ registry: name });
    },
    countRejected(status) {
      rejected.inc({ status: status.toString() });
    },
    countReload(isGood) {
      reloads.inc({ result: isGood ? "good" : "bad" });
    },
    setCertificateExpiry(date) {
      expiry.set(date.getTime() / 1000);
    },
  };
}
