/** Hears who holds a Lease. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "./client.ts";
import { leasesPath, readLease, type LeaseName } from "./lease.ts";

/** The API server ends the stream then; one that died silently ends a little later. */
const STREAM_SECONDS = 300;
const GRACE_SECONDS = 10;
const MIN_BACK_OFF_MS = 1_000;
const MAX_BACK_OFF_MS = 30_000;

/**
 * Calls `onHolder` with the holder as it is, and whenever somebody wrote the Lease; undefined if nobody holds it, or it
 * was removed. What it hears may be outdated, and nothing says when the stream is dead: it is a reason to look, and no
 * more. Resolves when `signal` aborts, and does not throw.
 */
export async function watchLease(
  client: KubeClient,
  { namespace, name }: LeaseName,
  onHolder: (holder: string | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  let backOffMs = MIN_BACK_OFF_MS;
  while (!signal.aborted) {
    const limit = AbortSignal.timeout((STREAM_SECONDS + GRACE_SECONDS) * 1000);
    const request = {
      path: leasesPath(namespace),
      // Without a resourceVersion it begins with the Lease as it is.
      query: {
        watch: "true",
        fieldSelector: `metadata.name=${name}`,
        timeoutSeconds: String(STREAM_SECONDS),
      },
    };
    try {
      await client.watch(
        request,
        ({ type, object }) => {
          if (type === "ERROR") return;
          backOffMs = MIN_BACK_OFF_MS;
          onHolder(type === "DELETED" ? undefined : readLease(object).holder);
        },
        AbortSignal.any([signal, limit]),
      );
    } catch {
      // The requests for the Lease meet the same fault, and report it.
    }
    const jitter = 1 + Math.random() / 2;
    await sleep(backOffMs * jitter, undefined, { signal }).catch(() => undefined);
    backOffMs = Math.min(backOffMs * 2, MAX_BACK_OFF_MS);
  }
}
