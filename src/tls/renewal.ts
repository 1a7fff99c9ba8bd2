/** Keeps the Secret and the webhook's caBundle as the plan wants them, while this replica leads. */
import { performance } from "node:perf_hooks";
import { longestWait } from "../core/back-off.ts";
import type {
  CertificateWriter,
  StoredCertificates,
  WebhookRegistration,
} from "../core/stored-certificates.ts";
import {
  bundleOf,
  certificateState,
  EMPTY_SECRET,
  formatCertificateSecret,
  parseCertificateSecret,
  type CertificateSecret,
} from "./certificate-secret.ts";
import type { KeyPair } from "./certificates.ts";
import {
  NOTHING_OBSERVED,
  observe,
  planRenewal,
  withDurations,
  type CertificateState,
  type RenewalAction,
  type RenewalTiming,
} from "./plan-renewal.ts";

export interface RenewalOptions {
  readonly writer: CertificateWriter;
  /** The DNS names that the serving certificate must cover. */
  readonly names: readonly string[];
  readonly timing: RenewalTiming;
  /** Reports the state after a write, before a watch does. Has to pass it to `onState`. */
  readonly onWritten: (state: CertificatesInCluster) => void;
  /** Called after each write. */
  readonly onAction: (kind: RenewalAction["kind"]) => void;
  /** Called with each error; the step is retried. */
  readonly onError: (error: unknown) => void;
}

/** Undefined: not known yet. */
export interface CertificatesInCluster {
  readonly secret: StoredCertificates | "missing" | undefined;
  readonly registration: WebhookRegistration | "missing" | undefined;
}

export interface Renewal {
  /** To be called with each change in the cluster, whether this replica leads or not. */
  onState(state: CertificatesInCluster): void;
  /** This replica writes until `signal` aborts. */
  lead(signal: AbortSignal): void;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
const RETRIES = { firstMs: FIRST_RETRY_MS, maxMs: LAST_RETRY_MS };
/** Between two writes of the bundle, in case something else keeps overwriting it. */
const PUBLISH_PAUSE_MS = 1_000;

/** Takes steps, one after the other, until one returns how long to pause. A change of the state ends the pause. */
export function startRenewal(options: RenewalOptions): Renewal {
  const steps = createSteps(options);
  let term: AbortSignal | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isWorking = false;
  let failures = 0;

  async function work(): Promise<void> {
    if (isWorking) return;
    isWorking = true;
    clearTimeout(timer);
    let pauseMs: number | undefined;
    while (pauseMs === undefined && term?.aborted === false) {
      try {
        pauseMs = await steps.next(() => term?.aborted === false);
        failures = 0;
      } catch (error) {
        options.onError(error);
        pauseMs = longestWait(++failures, RETRIES);
      }
    }
    isWorking = false;
    if (pauseMs !== undefined) timer = setTimeout(() => void work(), pauseMs).unref();
  }

  return {
    onState(state) {
      steps.onState(state);
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

interface Steps {
  onState(state: CertificatesInCluster): void;
  /** Takes the next step. Returns how long to pause in milliseconds; undefined if there may be more to do at once. */
  next(isLeading: () => boolean): Promise<number | undefined>;
}

function createSteps({ writer, names, timing, onAction, onWritten }: RenewalOptions): Steps {
  let inCluster: CertificatesInCluster = { secret: undefined, registration: undefined };
  let state: CertificateState | undefined;
  let observedSince = NOTHING_OBSERVED;
  let publishedAt = -Infinity;

  function done(kind: RenewalAction["kind"], written: Partial<CertificatesInCluster>): void {
    inCluster = { ...inCluster, ...written };
    onAction(kind);
    onWritten(inCluster);
  }

  return {
    onState(next) {
      inCluster = next;
      const { secret, registration } = next;
      if (secret === undefined || registration === undefined) return;
      state = certificateState(
        contentOf(secret),
        registration === "missing" ? undefined : registration,
        names,
      );
      observedSince = observe(observedSince, state, performance.now());
    },

    async next(isLeading) {
      const { secret, registration } = inCluster;
      // The cluster is not known yet, or the Secret belongs to somebody else: a change of the state starts the next step.
      if (state === undefined || secret === undefined) return LAST_RETRY_MS;
      if (secret !== "missing" && !secret.isOurs) return LAST_RETRY_MS;
      const observed = withDurations(state, observedSince, performance.now());
      const action = planRenewal(observed, Date.now(), timing);
      if (action.kind === "wait") return action.forMs;

      if (action.kind === "publish") {
        if (typeof registration !== "object") return LAST_RETRY_MS;
        const pauseMs = publishedAt + PUBLISH_PAUSE_MS - performance.now();
        if (pauseMs > 0) return pauseMs;
        const bundle = bundleOf(action.fingerprints, contentOf(secret), registration);
        const written = await writer.publish(bundle, registration);
        if (written === undefined) return FIRST_RETRY_MS;
        publishedAt = performance.now();
        done(action.kind, { registration: written });
        return undefined;
      }

      const next = await execute(action, contentOf(secret), names, timing, new Date());
      if (!isLeading()) return undefined;
      const over = secret === "missing" ? undefined : secret;
      const written = await writer.writeSecret(formatCertificateSecret(next), over);
      if (written === undefined) return FIRST_RETRY_MS;
      done(action.kind, { secret: written });
      return undefined;
    },
  };
}

function contentOf(secret: StoredCertificates | "missing"): CertificateSecret {
  return secret === "missing" ? EMPTY_SECRET : parseCertificateSecret(secret.data);
}

/** The Secret after the action. Nothing is written here. @throws if the authority that has to issue is missing. */
async function execute(
  { kind }: Exclude<RenewalAction, { readonly kind: "publish" | "wait" }>,
  secret: CertificateSecret,
  names: readonly string[],
  timing: RenewalTiming,
  now: Date,
): Promise<CertificateSecret> {
  if (kind === "forget-previous") return { ...secret, previous: undefined };
  const { issueServing, makeAuthority } = await import("./x509.ts");
  const issueBy = (authority: KeyPair | undefined): Promise<KeyPair> => {
    if (authority === undefined) throw new Error("there is no authority to issue a certificate");
    return issueServing(authority, names, timing.servingLifetimeMs, now);
  };
  switch (kind) {
    case "make-authority":
      return { ...secret, next: await makeAuthority(timing.authorityLifetimeMs, now) };
    case "switch-authority": {
      const { current, next } = secret;
      return { current: next, next: undefined, previous: current?.certificate, serving: await issueBy(next) };
    }
    case "renew-serving":
      return { ...secret, serving: await issueBy(secret.current) };
  }
}
