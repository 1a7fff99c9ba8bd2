/** Reads and writes one Lease, by which the replicas agree who of them writes. */
import { V1MicroTime, type V1Lease } from "@kubernetes/client-node";
import { getString, isObject } from "../core/kubernetes.ts";
import type { ApisFor } from "./api.ts";
import type { Collection } from "./list.ts";
import { isConflict, isNotFound, KubeUnreachableError, unlessMissing } from "./errors.ts";

export interface Lease {
  /** Undefined if nobody holds it. */
  readonly holder: string | undefined;
  /** How long the holder may be silent, as it says itself. */
  readonly durationMs: number;
  /** A string that differs whenever the holder wrote something, and not when others add a label, say. */
  readonly record: string;
  /** All of it, because a PUT replaces all of it. */
  readonly object: V1Lease;
}

/** Every request fails with a KubeUnreachableError when it takes too long; it may still take effect. */
export interface LeaseClient {
  /** Undefined if there is none. */
  read(): Promise<Lease | undefined>;
  /** Takes the Lease or renews it; undefined if somebody else was faster, or it is gone. */
  claim(lease: Lease | undefined, claim: LeaseClaim): Promise<Lease | undefined>;
  /** Nobody holds it then; undefined as for `claim`. */
  giveUp(lease: Lease, at: Date): Promise<Lease | undefined>;
}

export interface LeaseClaim {
  readonly identity: string;
  readonly durationMs: number;
  readonly at: Date;
}

export interface LeaseName {
  readonly namespace: string;
  readonly name: string;
}

/** That one Lease. A Role that is limited to its name demands such a selector of a list or a watch. */
export function leaseCollection(namespace: string, name: string): Collection {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  return { path, query: { fieldSelector: `metadata.name=${name}` } };
}

/** @param timeoutMs of each request: the transport would wait for longer than a lease is valid */
export function createLeaseClient(
  apisFor: ApisFor,
  { namespace, name }: LeaseName,
  timeoutMs: number,
): LeaseClient {
  const { coordination } = apisFor();

  async function write(
    lease: Lease | undefined,
    spec: NonNullable<V1Lease["spec"]>,
  ): Promise<Lease | undefined> {
    // The resource version goes with it: the API server accepts nothing that is based on an older state.
    const body: V1Lease = { ...(lease?.object ?? { metadata: { name } }), spec };
    const request =
      lease === undefined
        ? coordination.createNamespacedLease({ namespace, body })
        : coordination.replaceNamespacedLease({ namespace, name, body });
    try {
      return readLease(await within(timeoutMs, request));
    } catch (error) {
      // A namespace that is not there is an error as well, but we run in this one.
      if (isNotFound(error) || isConflict(error)) return undefined;
      throw error;
    }
  }

  return {
    async read() {
      const stored = await unlessMissing(
        within(timeoutMs, coordination.readNamespacedLease({ namespace, name })),
      );
      return stored && readLease(stored);
    },

    claim(lease, { identity, durationMs, at }) {
      const renewTime = microTime(at);
      const spec = lease?.object.spec;
      const isRenewal = lease?.holder === identity;
      const transitions = spec?.leaseTransitions ?? 0;
      return write(lease, {
        ...spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(durationMs / 1000),
        acquireTime: (isRenewal ? spec?.acquireTime : undefined) ?? renewTime,
        renewTime,
        leaseTransitions: lease === undefined || isRenewal ? transitions : transitions + 1,
      });
    },

    giveUp(lease, at) {
      const now = microTime(at);
      const { holderIdentity: _, ...spec } = lease.object.spec ?? {};
      // The second is for those who look at nothing but the times.
      return write(lease, { ...spec, leaseDurationSeconds: 1, acquireTime: now, renewTime: now });
    },
  };
}

/** A Lease straight from JSON or from the typed API. */
export function readLease(object: object): Lease {
  const spec = "spec" in object && isObject(object.spec) ? object.spec : {};
  const holder = getString(spec, "holderIdentity");
  const seconds = spec["leaseDurationSeconds"];
  return {
    holder: holder === "" ? undefined : holder,
    durationMs: typeof seconds === "number" ? seconds * 1000 : 0,
    record: JSON.stringify(spec),
    object,
  };
}

/** The API server accepts six digits, and no fewer. */
function microTime(date: Date): V1MicroTime {
  return new V1MicroTime(date.toISOString());
}

async function within<T>(timeoutMs: number, request: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new KubeUnreachableError(`no answer about the lease within ${String(timeoutMs)} ms`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([request, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
