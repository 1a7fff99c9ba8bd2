/** Metrics for Prometheus. Labels are bounded: reasons and names of configured registries, never images or namespaces. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry as MetricRegistry } from "prom-client";
import type { BatchObserver } from "./logger.ts";
import { createClusterMetrics, type ClusterMetrics } from "./cluster-metrics.ts";

/** The reason of every injection; those of skips are in the core's table. */
const NEEDED = "needed";

/** Reviews take microseconds; the API server gives up after seconds. */
const DURATION_BUCKETS_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1];

export class Metrics {
  readonly #registry = createRegistry();
  readonly #registers = [this.#registry];
  readonly #reviews = new Counter({
    name: "pullpass_reviews_total",
    help: "AdmissionReviews answered, by decision and reason.",
    labelNames: ["decision", "reason"],
    registers: this.#registers,
  });
  readonly #duration = new Histogram({
    name: "pullpass_review_duration_seconds",
    help: "Time to decide one AdmissionReview, without reading and writing it.",
    buckets: DURATION_BUCKETS_SECONDS,
    registers: this.#registers,
  });
  readonly #injections = new Counter({
    name: "pullpass_injections_total",
    help: "Pods that were given a registry's pull secret.",
    labelNames: ["registry"],
    registers: this.#registers,
  });
  readonly #buildMounts = new Counter({
    name: "pullpass_build_mounts_total",
    help: "Containers that were given a directory of credentials for builds, by builder.",
    labelNames: ["builder"],
    registers: this.#registers,
  });
  readonly #rejected = new Counter({
    name: "pullpass_rejected_requests_total",
    help: "Requests that were no AdmissionReview, by HTTP status.",
    labelNames: ["status"],
    registers: this.#registers,
  });
  readonly #reloads = new Counter({
    name: "pullpass_configuration_reloads_total",
    help: "Changes of the configuration that were taken over (good) or left out (bad).",
    labelNames: ["result"],
    registers: this.#registers,
  });
  readonly #expiry = new Gauge({
    name: "pullpass_certificate_expiry_timestamp_seconds",
    help: "When the serving certificate ends, in Unix time.",
    registers: this.#registers,
  });
  /** Created when needed: it would report 0 where the authority is not ours. */
  #authorityExpiry: Gauge | undefined;

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }

  readonly observeReviews: BatchObserver = (events) => {
    const byReason = new Map<string, number>();
    const byRegistry = new Map<string, number>();
    const byBuilder = new Map<string, number>();
    for (const { decision, durationSeconds } of events) {
      this.#duration.observe(durationSeconds);
      countUp(byReason, decision.kind === "skip" ? decision.reason : NEEDED);
      if (decision.kind === "skip") continue;
      for (const { name } of decision.registries) countUp(byRegistry, name);
      for (const { builder } of decision.build?.findings ?? []) countUp(byBuilder, builder);
    }
    for (const [reason, count] of byReason) {
      this.#reviews.inc({ decision: reason === NEEDED ? "inject" : "skip", reason }, count);
    }
    for (const [registry, count] of byRegistry) this.#injections.inc({ registry }, count);
    for (const [builder, count] of byBuilder) this.#buildMounts.inc({ builder }, count);
  };

  countRejected(status: number): void {
    this.#rejected.inc({ status: status.toString() });
  }

  countReload(isGood: boolean): void {
    this.#reloads.inc({ result: isGood ? "good" : "bad" });
  }

  /** When the serving certificate ends, and its authority, where that is ours. */
  setCertificateExpiry(certificate: Date, authority: Date | undefined): void {
    this.#expiry.set(certificate.getTime() / 1000);
    if (authority === undefined) return;
    this.#authorityExpiry ??= new Gauge({
      name: "pullpass_certificate_authority_expiry_timestamp_seconds",
      help: "When the authority of the serving certificate ends, in Unix time.",
      registers: this.#registers,
    });
    this.#authorityExpiry.set(authority.getTime() / 1000);
  }

  /** Adds those of a cluster. */
  forCluster(): ClusterMetrics {
    return createClusterMetrics(this.#registry);
  }
}

/** With those of the process first. */
function createRegistry(): MetricRegistry {
  const register = new MetricRegistry();
  collectDefaultMetrics({ register });
  return register;
}

function countUp(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
