/**
 * Agrees with the other replicas who of them writes, by a Lease, as client-go's leader election does; client-node has
 * none.
 */
import type { ApisFor } from "./api.ts";
import { createInterruptibleSleep } from "./interruptible-sleep.ts";
import { createLeaseClient, type Lease, type LeaseClient, type LeaseName } from "./lease.ts";

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

export class LeaderElection {
  readonly #options: Required<LeaderElectionOptions>;
  readonly #leases: LeaseClient;
  readonly #terms: Terms;
  readonly #closing = new AbortController();
  readonly #pause = createInterruptibleSleep();
  #handlers: LeaderElectionHandlers | undefined;
  #lease: Lease | undefined;
  /** When the holder's record was seen to change. Clocks of two machines are never compared. */
  #seenAt = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: LeaderElectionOptions) {
    this.#options = { clocks: SYSTEM_CLOCKS, timing: LEADER_TIMING, ...options };
    const { apisFor, clocks, timing } = this.#options;
    this.#leases = createLeaseClient(apisFor, options, timing.requestTimeoutMs);
    this.#terms = new Terms(clocks, timing.renewDeadlineMs, {
      onStarted: (signal) => this.#handlers?.onStarted(signal),
      onStopped: () => this.#handlers?.onStopped(),
    });
  }

  /** False from the renew deadline on, whatever else hangs at that time. */
  isLeading(): boolean {
    return this.#terms.isCurrent();
  }

  /** For writes that are sent only in the term in which they were asked for: they may wait for longer than a term lasts. */
  guard(): () => boolean {
    return this.#terms.guard();
  }

  /** To be called once. */
  start(handlers: LeaderElectionHandlers): void {
    this.#handlers = handlers;
    this.#ended = this.#run();
  }

  /** A watch saw who holds the Lease. That may be outdated, so it is a reason to look, and no more. */
  observe(holder: string | undefined): void {
    const { identity } = this.#options;
    if (this.#terms.hasTerm ? holder !== identity : holder === undefined) this.#pause.interrupt();
  }

  /**
   * Ends the term and the election, and gives the Lease up, so that another replica takes over at once. Who still writes
   * finishes that before. Does not fail: a Lease that cannot be given up expires.
   */
  async release(): Promise<void> {
    this.#closing.abort();
    this.#terms.end();
    this.#pause.interrupt();
    await this.#ended;
    await this.#giveUp().catch((error: unknown) => this.#handlers?.onError(error));
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const startedAt = this.#options.clocks.monotonicMs();
      let hasFailed = false;
      await this.#tryOnce().catch((error: unknown) => {
        hasFailed = true;
        this.#handlers?.onError(error);
      });
      await this.#pause.sleep(Math.max(MIN_PAUSE_MS, this.#msUntilNextTry(startedAt, hasFailed)));
    }
  }

  async #tryOnce(): Promise<void> {
    // A leader knows the Lease, since it wrote it; asking again would only take time.
    if (!this.#terms.hasTerm) this.#see(await this.#leases.read());
    if (!(await this.#acquireOrRenew())) {
      this.#see(await this.#leases.read());
      // It still is ours where somebody else put a label on it, or where our own last request was not answered.
      await this.#acquireOrRenew();
    }
    if (this.#lease?.holder !== this.#options.identity) this.#terms.end();
  }

  /** Writes the Lease unless somebody else holds it; false if it was written by somebody else meanwhile. */
  async #acquireOrRenew(): Promise<boolean> {
    const { identity, clocks, timing } = this.#options;
    if (this.#msUntilFree() > 0) return true;
    const sentAt = clocks.monotonicMs();
    const claim = { identity, durationMs: timing.leaseDurationMs, at: clocks.now() };
    const written = await this.#leases.claim(this.#lease, claim);
    if (written === undefined) return false;
    this.#see(written);
    if (!this.#closing.signal.aborted) this.#terms.renew(sentAt);
    return true;
  }

  async #giveUp(): Promise<void> {
    const { identity, clocks } = this.#options;
    for (let tries = 0; tries < 2 && this.#lease?.holder === identity; tries++) {
      if ((await this.#leases.giveUp(this.#lease, clocks.now())) !== undefined) return;
      this.#see(await this.#leases.read());
    }
  }

  #see(current: Lease | undefined): void {
    if (current?.record !== this.#lease?.record) this.#seenAt = this.#options.clocks.monotonicMs();
    this.#lease = current;
  }

  #msUntilNextTry(startedAt: number, hasFailed: boolean): number {
    const { renewPeriodMs, retryPeriodMs } = this.#options.timing;
    // A leader has a few seconds to get through again.
    if (this.#terms.hasTerm) return hasFailed ? 0 : this.#msLeft(startedAt, renewPeriodMs);
    const pollInMs = this.#msLeft(startedAt, retryPeriodMs * (1 + Math.random() / 4));
    const freeInMs = this.#msUntilFree();
    return freeInMs > 0 ? Math.min(pollInMs, freeInMs) : pollInMs;
  }

  #msUntilFree(): number {
    const { holder, durationMs = 0 } = this.#lease ?? {};
    const isFree = holder === undefined || holder === this.#options.identity;
    return isFree ? 0 : this.#msLeft(this.#seenAt, durationMs);
  }

  #msLeft(since: number, durationMs: number): number {
    return since + durationMs - this.#options.clocks.monotonicMs();
  }
}

type TermHandlers = Pick<LeaderElectionHandlers, "onStarted" | "onStopped">;

/** The terms of one replica: each begins with a renewal, and ends when none succeeded until the renew deadline. */
class Terms {
  readonly #clocks: LeaderClocks;
  readonly #renewDeadlineMs: number;
  readonly #handlers: TermHandlers;
  #term: AbortController | undefined;
  /** When the last renewal that succeeded was sent: others saw it later than that, and so wait for longer than we. */
  #renewedAt = 0;
  #deadline: NodeJS.Timeout | undefined;

  constructor(clocks: LeaderClocks, renewDeadlineMs: number, handlers: TermHandlers) {
    this.#clocks = clocks;
    this.#renewDeadlineMs = renewDeadlineMs;
    this.#handlers = handlers;
  }

  /** True until the term is ended, which may be a little after its deadline. */
  get hasTerm(): boolean {
    return this.#term !== undefined;
  }

  isCurrent(): boolean {
    return this.#term !== undefined && this.#msLeft() > 0;
  }

  guard(): () => boolean {
    const present = this.#term;
    return () => present === this.#term && this.isCurrent();
  }

  renew(sentAt: number): void {
    this.#renewedAt = sentAt;
    if (this.#msLeft() <= 0) return;
    this.#armDeadline();
    if (this.#term !== undefined) return;
    this.#term = new AbortController();
    this.#handlers.onStarted(this.#term.signal);
  }

  end(): void {
    clearTimeout(this.#deadline);
    if (this.#term === undefined) return;
    const finished = this.#term;
    this.#term = undefined;
    finished.abort();
    this.#handlers.onStopped();
  }

  #armDeadline(): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(
      () => {
        // A timer may be a little early by another clock.
        if (this.isCurrent()) this.#armDeadline();
        else this.end();
      },
      Math.max(1, this.#msLeft()),
    );
  }

  #msLeft(): number {
    return this.#renewedAt + this.#renewDeadlineMs - this.#clocks.monotonicMs();
  }
}
