/** Hears who holds a Lease. */
import { createAlarm } from "./alarm.ts";
import { createBackOff } from "./back-off.ts";
import type { KubeClient, WatchEvent } from "./client.ts";
import { leasesPath, readLease, type LeaseName } from "./lease.ts";

/** The API server ends the stream then; one that died silently ends a little later. */
const STREAM_SECONDS = 300;
const GRACE_SECONDS = 10;

/**
 * Calls `onHolder` with the holder as it is, and whenever somebody wrote the Lease; undefined if nobody holds it, or it
 * was removed. What it hears may be outdated, and nothing says when the stream is dead: it is a reason to look, and no
 * more. Resolves when `signal` aborts, and does not throw.
 */
export async function watchLease(
  client: Pick<KubeClient, "watch">,
  name: LeaseName,
  onHolder: (holder: string | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  const backOff = createBackOff({ firstMs: 1_000, maxMs: 30_000 });
  const alarm = createAlarm();
  signal.addEventListener("abort", () => {
    alarm.ring();
  });
  while (!signal.aborted) {
    try {
      await watchOnce(
        client,
        name,
        ({ type, object }) => {
          if (type === "ERROR") return;
          backOff.reset();
          onHolder(type === "DELETED" ? undefined : readLease(object).holder);
        },
        signal,
      );
    } catch {
      // The requests for the Lease meet the same fault, and report it.
    }
    await alarm.sleep(backOff.next());
  }
}

async function watchOnce(
  client: Pick<KubeClient, "watch">,
  { namespace, name }: LeaseName,
  onEvent: (event: WatchEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const stream = new AbortController();
  const end = (): void => {
    stream.abort();
  };
  // Not AbortSignal.any: on Node 20 what it makes stays in memory for as long as the outer signal.
  signal.addEventListener("abort", end);
  const limit = setTimeout(end, (STREAM_SECONDS + GRACE_SECONDS) * 1000);
  const query = {
    watch: "true",
    // It also is what a Role that is limited to one name demands of a watch.
    fieldSelector: `metadata.name=${name}`,
    // Without a resourceVersion it begins with the Lease as it is.
    timeoutSeconds: String(STREAM_SECONDS),
  };
  try {
    await client.watch({ path: leasesPath(namespace), query }, onEvent, stream.signal);
  } finally {
    clearTimeout(limit);
    signal.removeEventListener("abort", end);
  }
}
