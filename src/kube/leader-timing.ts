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
