/**
 * Agrees with the other replicas who of them writes, by a Lease, as client-go's leader election does; client-node has
 * none.
 */
import type { ApisFor, WriteGuard } from "./api.ts";
import { createInterruptibleSleep } from "./interruptible-sleep.ts";
import { createLeaseClient, type Lease, type LeaseName } from "./lease.ts";

/** How long replicas wait for each other. */
export interface LeaderTiming {
  /** How long the others wait for a leader of whom they hear nothing. Whole seconds. */
  readonly leaseDurationMs: number;
  /** When a leader that could not renew stops. Less than the duration, so that it has stopped before others start. */
  readonly renewDeadlineMs: number;
  readonly renewPeriodMs: number;
  /** At least; jitter adds up to a quarter. */
  readonly retryPeriodMs: number;
  /** Of each request. */
  readonly requestTimeoutMs: number;
}

/*
 * A leader that renewed at 0 s, and whose requests hang from then on, tries at 2 s and at 5 s, and stops at 7 s. A candidate
 * that polls sees its last renewal at 2.5 s at the latest, so that it takes over between 10 and 13 s: less than the 15 s
 * of the design, and 3 s after the leader stopped, in which a write that is on its way may arrive.
 */
export const LEADER_TIMING: LeaderTiming = {
  leaseDurationMs: 10_000,
  renewDeadlineMs: 7_000,
  renewPeriodMs: 2_000,
  retryPeriodMs: 2_000,
  requestTimeoutMs: 2_500,
};

/** Between two tries, however long the first one took. */
const MIN_PAUSE_MS = 500;

export interface LeaderClocks {
  /** Never goes back; only differences count. */
  monotonicMs(): number;
  /** Written into the Lease for people to read. Nobody's decision depends on it. */
  now(): Date;
}

const SYSTEM_CLOCKS: LeaderClocks = {
  monotonicMs: () => performance.now(),
  now: () => new Date(),
};

export interface LeaderElectionOptions extends LeaseName {
  readonly apisFor: ApisFor;
  /** Different for every process, also for one that takes the place of another. */
  readonly identity: string;
  readonly clocks?: LeaderClocks;
  readonly timing?: LeaderTiming;
}

export interface LeaderElectionHandlers {
  /** Called at the start of every term. The signal aborts at its end. */
  readonly onStarted: (signal: AbortSignal) => void;
  /** Called at the end of every term, right after its signal aborted. */
  readonly onStopped: () => void;
  /** Called with why a try failed; there is another try. */
  readonly onError: (error: unknown) => void;
}

export interface LeaderElection {
  /** False from the renew deadline on, whatever else hangs at that time. */
  readonly isLeading: () => boolean;
  /** For writes that are sent only in the term in which they were asked for: they may wait for longer than a term lasts. */
  readonly guard: WriteGuard;
  /** To be called once. */
  start(handlers: LeaderElectionHandlers): void;
  /** A watch saw who holds the Lease. That may be outdated, so it is a reason to look, and no more. */
  observe(holder: string | undefined): void;
  /**
   * Ends the term and the election, and gives the Lease up, so that another replica takes over at once. Who still writes
   * finishes that before. Does not fail: a Lease that cannot be given up expires.
   */
  release(): Promise<void>;
}

export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { identity, clocks = SYSTEM_CLOCKS, timing = LEADER_TIMING } = options;
  const leases = createLeaseClient(options.apisFor, options, timing.requestTimeoutMs);
  const closing = new AbortController();
  const pause = createInterruptibleSleep();

  let handlers: LeaderElectionHandlers | undefined;
  let lease: Lease | undefined;
  /** When the holder's record was seen to change. Clocks of two machines are never compared. */
  let seenAt = 0;
  let term: AbortController | undefined;
  /** When the last renewal that succeeded was sent: others saw it later than that, and so wait for longer than we. */
  let renewedAt = 0;
  let deadline: NodeJS.Timeout | undefined;
  let ended: Promise<void> = Promise.resolve();

  const msLeft = (since: number, durationMs: number) => since + durationMs - clocks.monotonicMs();
  const isLeading = () => term !== undefined && msLeft(renewedAt, timing.renewDeadlineMs) > 0;
  const msUntilFree = () =>
    lease?.holder === undefined || lease.holder === identity ? 0 : msLeft(seenAt, lease.durationMs);

  function see(current: Lease | undefined): void {
    if (current?.record !== lease?.record) seenAt = clocks.monotonicMs();
    lease = current;
  }

  function lead(sentAt: number): void {
    renewedAt = sentAt;
    if (closing.signal.aborted || msLeft(renewedAt, timing.renewDeadlineMs) <= 0) return;
    armDeadline();
    if (term !== undefined) return;
    term = new AbortController();
    handlers?.onStarted(term.signal);
  }

  function armDeadline(): void {
    clearTimeout(deadline);
    deadline = setTimeout(
      () => {
        // A timer may be a little early by another clock.
        if (isLeading()) armDeadline();
        else stepDown();
      },
      Math.max(1, msLeft(renewedAt, timing.renewDeadlineMs)),
    );
  }

  function stepDown(): void {
    clearTimeout(deadline);
    if (term === undefined) return;
    const finished = term;
    term = undefined;
    finished.abort();
    handlers?.onStopped();
  }

  /** Writes the Lease unless somebody else holds it; false if it was written by somebody else meanwhile. */
  async function acquireOrRenew(): Promise<boolean> {
    if (msUntilFree() > 0) return true;
    const sentAt = clocks.monotonicMs();
    const claim = { identity, durationMs: timing.leaseDurationMs, at: clocks.now() };
    const written = await leases.claim(lease, claim);
    if (written === undefined) return false;
    see(written);
    lead(sentAt);
    return true;
  }

  async function tryOnce(): Promise<void> {
    // A leader knows the Lease, since it wrote it; asking again would only take time.
    if (term === undefined) see(await leases.read());
    if (!(await acquireOrRenew())) {
      see(await leases.read());
      // It still is ours where somebody else put a label on it, or where our own last request was not answered.
      await acquireOrRenew();
    }
    if (lease?.holder !== identity) stepDown();
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      const startedAt = clocks.monotonicMs();
      let hasFailed = false;
      await tryOnce().catch((error: unknown) => {
        hasFailed = true;
        handlers?.onError(error);
      });
      await pause.sleep(Math.max(MIN_PAUSE_MS, msUntilNextTry(startedAt, hasFailed)));
    }
  }

  function msUntilNextTry(startedAt: number, hasFailed: boolean): number {
    // A leader has a few seconds to get through again.
    if (term !== undefined) return hasFailed ? 0 : msLeft(startedAt, timing.renewPeriodMs);
    const pollInMs = msLeft(startedAt, timing.retryPeriodMs * (1 + Math.random() / 4));
    const freeInMs = msUntilFree();
    return freeInMs > 0 ? Math.min(pollInMs, freeInMs) : pollInMs;
  }

  async function giveUp(): Promise<void> {
    for (let tries = 0; tries < 2 && lease?.holder === identity; tries++) {
      if ((await leases.giveUp(lease, clocks.now())) !== undefined) return;
      see(await leases.read());
    }
  }

  return {
    isLeading,
    guard() {
      const present = term;
      return () => present !== undefined && present === term && isLeading();
    },
    start(given) {
      handlers = given;
      ended = run();
    },
    observe(holder) {
      if (term === undefined ? holder === undefined : holder !== identity) pause.interrupt();
    },
    async release() {
      closing.abort();
      stepDown();
      pause.interrupt();
      await ended;
      await giveUp().catch((error: unknown) => handlers?.onError(error));
    },
  };
}
