/** Reads and writes one Lease, the object by which replicas agree who of them writes. */
import { isObject, getString, type JsonObject } from "../core/kubernetes.ts";
import { KubeUnreachableError, type KubeClient } from "./client.ts";
import type { LeaseClaim } from "./lease-claim.ts";
import { hasStatus } from "./refusals.ts";

export interface Lease {
  /** Undefined if nobody holds it. */
  readonly holder: string | undefined;
  /** How long the holder may be silent, by its own word. */
  readonly durationMs: number;
  /** How often it went from one holder to another. */
  readonly transitions: number;
  readonly acquireTime: string | undefined;
  /** A text that differs whenever the holder wrote something, and not when others add a label, say. */
  readonly record: string;
  /** All of it, because a PUT replaces all of it. */
  readonly object: JsonObject;
}

/** Every request fails with a KubeUnreachableError when it takes too long; it may still come true. */
export interface LeaseClient {
  /** Undefined if there is none. */
  read(): Promise<Lease | undefined>;
  /** Undefined if somebody else was faster. */
  create(claim: LeaseClaim): Promise<Lease | undefined>;
  /** Undefined if it is not as it was read any more, or gone. */
  replace(lease: Lease, claim: LeaseClaim): Promise<Lease | undefined>;
}

export interface LeaseName {
  readonly namespace: string;
  readonly name: string;
}

export function leasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
}

export function createLeaseClient(
  client: Pick<KubeClient, "request">,
  { namespace, name }: LeaseName,
  timeoutMs: number,
): LeaseClient {
  const path = leasesPath(namespace);
  const write = async (request: Promise<JsonObject>): Promise<Lease | undefined> => {
    try {
      return readLease(await within(timeoutMs, request));
    } catch (error) {
      if (hasStatus(error, 404, 409)) return undefined;
      throw error;
    }
  };
  return {
    async read() {
      try {
        return readLease(await within(timeoutMs, client.request({ method: "GET", path: `${path}/${name}` })));
      } catch (error) {
        if (hasStatus(error, 404)) return undefined;
        throw error;
      }
    },
    // A namespace that is not there is an error as well, but we run in this one.
    create: (claim) => write(client.request({ method: "POST", path, body: leaseObject(name, claim) })),
    replace({ object }, claim) {
      // Its resourceVersion goes with it: the API server takes nothing that is based on an older state.
      const body = { ...object, spec: { ...specOf(object), ...leaseSpec(claim) } };
      return write(client.request({ method: "PUT", path: `${path}/${name}`, body }));
    },
  };
}

export function readLease(object: JsonObject): Lease {
  const spec = specOf(object);
  const holder = getString(spec, "holderIdentity");
  return {
    // client-go leaves the holder out of a lease that it gives up; older ones write an empty text.
    holder: holder === "" ? undefined : holder,
    durationMs: numberOf(spec["leaseDurationSeconds"]) * 1000,
    transitions: numberOf(spec["leaseTransitions"]),
    acquireTime: getString(spec, "acquireTime"),
    record: JSON.stringify(spec),
    object,
  };
}

function specOf(object: JsonObject): JsonObject {
  return isObject(object["spec"]) ? object["spec"] : {};
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

function leaseObject(name: string, claim: LeaseClaim): JsonObject {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name },
    spec: leaseSpec(claim),
  };
}

function leaseSpec({ holder, durationMs, transitions, acquireTime, renewTime }: LeaseClaim): JsonObject {
  return {
    holderIdentity: holder,
    leaseDurationSeconds: Math.ceil(durationMs / 1000),
    acquireTime,
    renewTime,
    leaseTransitions: transitions,
  };
}

/** The client waits for an answer for longer than a lease is valid. */
async function within<T>(timeoutMs: number, request: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new KubeUnreachableError(`the lease was not answered within ${String(timeoutMs)} ms`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([request, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
