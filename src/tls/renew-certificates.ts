/** Keeps the Secret and the webhook's caBundle as they should be, for as long as this replica leads. */
import { performance } from "node:perf_hooks";
import type {
  CertificateWriter,
  StoredCertificates,
  WebhookRegistration,
} from "../core/stored-certificates.ts";
import { carryOut } from "./carry-out.ts";
import { bundleOf, certificateFacts, type StateFacts } from "./certificate-facts.ts";
import { NOTHING_KEPT, readKept, writeKept } from "./kept-certificates.ts";
import { planRenewal, type RenewalAction } from "./plan-renewal.ts";
import type { RenewalTiming } from "./renewal-timing.ts";
import { createSightings } from "./sightings.ts";

export interface RenewalOptions {
  readonly writer: CertificateWriter;
  /** What the serving certificate has to be for. */
  readonly names: readonly string[];
  readonly timing: RenewalTiming;
  /** What was written is told to whoever serves at once, before a watch tells it. */
  readonly onWritten: (state: CertificatesInCluster) => void;
  /** Called after each write. */
  readonly onAction: (kind: RenewalAction["kind"]) => void;
  /** There is another try. */
  readonly onError: (error: unknown) => void;
}

/** Undefined is not known yet. */
export interface CertificatesInCluster {
  readonly secret: StoredCertificates | "missing" | undefined;
  readonly registration: WebhookRegistration | "missing" | undefined;
}

export interface Renewal {
  /** Something changed in the cluster, whether this replica leads or not. */
  onState(state: CertificatesInCluster): void;
  /** From now on until `signal` aborts this replica writes. */
  lead(signal: AbortSignal): void;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
/** Between two writes of the bundle: somebody else may write it again and again. */
const PUBLISH_PAUSE_MS = 1_000;

export function startRenewal(options: RenewalOptions): Renewal {
  const { writer, names, timing } = options;
  const sightings = createSightings(() => performance.now());
  let state: CertificatesInCluster = { secret: undefined, registration: undefined };
  let facts: StateFacts | undefined;
  let term: AbortSignal | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isWorking = false;
  let retryMs = FIRST_RETRY_MS;
  let publishedAt = -Infinity;

  function see(next: CertificatesInCluster): void {
    state = next;
    const { secret, registration } = state;
    if (secret === undefined || registration === undefined) return;
    const kept = secret === "missing" ? NOTHING_KEPT : readKept(secret.data);
    facts = certificateFacts(kept, registration === "missing" ? undefined : registration, names);
    sightings.see(facts);
  }

  /** Does one thing after the other until there is nothing left to do now. */
  async function work(): Promise<void> {
    if (isWorking) return;
    isWorking = true;
    clearTimeout(timer);
    let pauseMs: number | undefined;
    while (pauseMs === undefined && term?.aborted === false) {
      try {
        pauseMs = await step();
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        options.onError(error);
        pauseMs = retryMs;
        retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
      }
    }
    isWorking = false;
    if (pauseMs !== undefined) timer = setTimeout(() => void work(), pauseMs).unref();
  }

  /** Does what is next. Returns for how long nothing is to be done then; undefined if there may be more to do. */
  async function step(): Promise<number | undefined> {
    const { secret, registration } = state;
    // Who has not seen everything yet, or whose name is taken, waits to be told of a change.
    if (facts === undefined || secret === undefined) return LAST_RETRY_MS;
    if (secret !== "missing" && !secret.isOurs) return LAST_RETRY_MS;
    const action = planRenewal({ ...facts, ...sightings.durations() }, Date.now(), timing);
    if (action.kind === "wait") return action.forMs;
    const kept = secret === "missing" ? NOTHING_KEPT : readKept(secret.data);

    if (action.kind === "publish") {
      if (typeof registration !== "object") return LAST_RETRY_MS;
      const pauseMs = publishedAt + PUBLISH_PAUSE_MS - performance.now();
      if (pauseMs > 0) return pauseMs;
      const written = await writer.publish(bundleOf(action.fingerprints, kept, registration), registration);
      if (written === undefined) return FIRST_RETRY_MS;
      publishedAt = performance.now();
      take({ ...state, registration: written }, action.kind);
      return undefined;
    }

    const next = await carryOut(action, kept, { names, timing, now: new Date() });
    if (term?.aborted !== false) return undefined;
    const written = await writer.writeSecret(writeKept(next), secret === "missing" ? undefined : secret);
    if (written === undefined) return FIRST_RETRY_MS;
    take({ ...state, secret: written }, action.kind);
    return undefined;
  }

  function take(written: CertificatesInCluster, kind: RenewalAction["kind"]): void {
    options.onAction(kind);
    options.onWritten(written);
  }

  return {
    onState(next) {
      see(next);
      void work();
    },
    lead(signal) {
      term = signal;
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
      });
      void work();
    },
  };
}
