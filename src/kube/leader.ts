/** Agrees with the other replicas who of them writes, by a Lease, as client-go's leader election does. */
import type { KubeClient } from "./client.ts";
import { claimLease, giveUpLease } from "./lease-claim.ts";
import { createLeaseClient, type Lease, type LeaseName } from "./lease.ts";
import { createAlarm } from "./alarm.ts";
import { LEADER_TIMING, type LeaderTiming } from "./leader-timing.ts";
import { watchLease } from "./watch-lease.ts";

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
  readonly client: Pick<KubeClient, "request" | "watch">;
  /** Different for every process, also for one that takes the place of another. */
  readonly identity: string;
  readonly clocks?: LeaderClocks;
  readonly timing?: LeaderTiming;
  /** Called at the begin of every term. The signal aborts at its end. */
  readonly onStarted: (signal: AbortSignal) => void;
  /** Called at the end of every term, right after its signal aborted. */
  readonly onStopped: () => void;
  /** Called with why a try failed; there is another try. */
  readonly onError?: (error: unknown) => void;
}

export interface LeaderElection {
  /** False from the renew deadline on, whatever else hangs at that time. */
  isLeading(): boolean;
  /** What it returns is true until the present term ends, and not in a later one. */
  termCheck(): () => boolean;
  /**
   * Ends the term and the election, and gives the Lease up, so that another replica takes over at once. Who still writes
   * finishes that before. Does not fail: a Lease that cannot be given up expires.
   */
  release(): Promise<void>;
}

/**
 * A client whose writes are sent only in the term in which they were asked for. A request may wait for its turn for longer
 * than a term lasts, and another replica may write by then.
 */
export function onlyWhileLeading(
  client: Pick<KubeClient, "request">,
  election: () => Pick<LeaderElection, "termCheck"> | undefined,
): Pick<KubeClient, "request"> {
  const never = () => false;
  return {
    request: (request) =>
      client.request(
        request.method === "GET" ? request : { ...request, mayBeSent: election()?.termCheck() ?? never },
      ),
  };
}

export function startLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, identity, onStarted, onStopped, onError } = options;
  const { clocks = SYSTEM_CLOCKS, timing = LEADER_TIMING } = options;
  const leases = createLeaseClient(client, options, timing.requestTimeoutMs);
  const closing = new AbortController();

  let lease: Lease | undefined;
  /** When the holder's record was seen to change. Clocks of two machines are never compared. */
  let seenAt = 0;
  let term: AbortController | undefined;
  /** When the last renewal that succeeded was sent: others saw it later than that, and so wait for longer than we. */
  let renewedAt = 0;
  let deadline: NodeJS.Timeout | undefined;
  const alarm = createAlarm();

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
    onStarted(term.signal);
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
    const ended = term;
    term = undefined;
    ended.abort();
    onStopped();
  }

  /** Writes the Lease unless somebody else holds it; false if it was written by somebody else meanwhile. */
  async function acquireOrRenew(): Promise<boolean> {
    if (msUntilFree() > 0) return true;
    const sentAt = clocks.monotonicMs();
    const claim = claimLease(lease, identity, timing.leaseDurationMs, clocks.now());
    const written = await (lease === undefined ? leases.create(claim) : leases.replace(lease, claim));
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

  async function campaign(): Promise<void> {
    while (!closing.signal.aborted) {
      const startedAt = clocks.monotonicMs();
      let hasFailed = false;
      await tryOnce().catch((error: unknown) => {
        hasFailed = true;
        onError?.(error);
      });
      await alarm.sleep(Math.max(MIN_PAUSE_MS, msUntilNextTry(startedAt, hasFailed)));
    }
  }

  function msUntilNextTry(startedAt: number, hasFailed: boolean): number {
    // A leader has a few seconds to get through again.
    if (term !== undefined) return hasFailed ? 0 : msLeft(startedAt, timing.renewPeriodMs);
    const pollInMs = msLeft(startedAt, timing.retryPeriodMs * (1 + Math.random() / 4));
    const freeInMs = msUntilFree();
    return freeInMs > 0 ? Math.min(pollInMs, freeInMs) : pollInMs;
  }

  const campaigned = campaign();
  void watchLease(
    client,
    options,
    (holder) => {
      // What is heard may be outdated, so that it never ends a term by itself.
      if (term === undefined ? holder === undefined : holder !== identity) alarm.ring();
    },
    closing.signal,
  );

  async function giveUp(): Promise<void> {
    for (let tries = 0; tries < 2 && lease?.holder === identity; tries++) {
      if ((await leases.replace(lease, giveUpLease(lease, clocks.now()))) !== undefined) return;
      see(await leases.read());
    }
  }

  return {
    isLeading,
    termCheck() {
      const present = term;
      return () => present === term && isLeading();
    },
    async release() {
      closing.abort();
      stepDown();
      alarm.ring();
      await campaigned;
      await giveUp().catch((error: unknown) => onError?.(error));
    },
  };
}
