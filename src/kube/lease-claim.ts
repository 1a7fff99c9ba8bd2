/** What a replica writes into a Lease. */
import type { Lease } from "./lease.ts";

export interface LeaseClaim {
  /** Undefined to give it up. */
  readonly holder: string | undefined;
  readonly durationMs: number;
  readonly transitions: number;
  /** Times are `metav1.MicroTime`. */
  readonly acquireTime: string;
  readonly renewTime: string;
}

/** Takes the Lease, or renews what is ours already; undefined stands for a Lease that is not there yet. */
export function claimLease(
  lease: Lease | undefined,
  identity: string,
  durationMs: number,
  at: Date,
): LeaseClaim {
  const renewTime = microTime(at);
  if (lease === undefined) {
    return { holder: identity, durationMs, transitions: 0, acquireTime: renewTime, renewTime };
  }
  const isRenewal = lease.holder === identity;
  return {
    holder: identity,
    durationMs,
    transitions: isRenewal ? lease.transitions : lease.transitions + 1,
    acquireTime: (isRenewal ? lease.acquireTime : undefined) ?? renewTime,
    renewTime,
  };
}

/** Nobody holds it then. The second is for those who look at nothing but the times. */
export function giveUpLease({ transitions }: Lease, at: Date): LeaseClaim {
  const now = microTime(at);
  return { holder: undefined, durationMs: 1000, transitions, acquireTime: now, renewTime: now };
}

/** The API server takes six digits, and no fewer. */
function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}
