/** One watch, from a resource version until it ends for whatever reason. */
import { getString, type JsonObject } from "../core/kubernetes.ts";
import { watchError } from "./api-error.ts";
import { KubeApiError, type KubeClient } from "./client.ts";
import { metadataAccept, type Collection } from "./list-pages.ts";

/** Why a watch ended. What to do then, in `start-reflector.ts`, goes by it. */
export type WatchEnd =
  /** The API server ended it, as it was asked to after a while. */
  | { readonly kind: "closed" }
  /** Nothing came for too long, not even a bookmark: the connection is dead and nobody says so. */
  | { readonly kind: "watchdog" }
  /** 410: the API server does not remember what came after our resource version. */
  | { readonly kind: "expired" }
  /** The API server refused it, or sent an ERROR event: our resource version may be of no use. */
  | { readonly kind: "refused"; readonly error: KubeApiError }
  /** The connection failed or broke, or a listener did. */
  | { readonly kind: "broken"; readonly error: unknown };

export interface WatchOptions {
  readonly client: KubeClient;
  readonly collection: Collection;
  readonly resourceVersion: string;
  /** After so long the API server ends the watch. */
  readonly timeoutSeconds: number;
  readonly watchdogMs: number;
  readonly signal: AbortSignal;
  /** The API server has taken the watch. */
  readonly onOpen?: () => void;
  /** Called for ADDED, MODIFIED and DELETED. */
  readonly onChange: (type: string, object: JsonObject) => void;
  /** Called after every event and bookmark: from there on the next watch may start. */
  readonly onProgress: (resourceVersion: string | undefined) => void;
}

export async function watchOnce(options: WatchOptions): Promise<WatchEnd> {
  const { client, collection, watchdogMs, signal, onOpen, onChange, onProgress } = options;
  const { path, query, metadataOnly = false } = collection;
  const control = new AbortController();
  const abort = (): void => {
    control.abort();
  };
  const seen: { isSilent: boolean; refusal: KubeApiError | undefined } = {
    isSilent: false,
    refusal: undefined,
  };
  // One timer that is moved: events may come by the thousand.
  const watchdog = setTimeout(() => {
    seen.isSilent = true;
    abort();
  }, watchdogMs);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    await client.watch(
      {
        path,
        query: {
          ...query,
          watch: "true",
          allowWatchBookmarks: "true",
          resourceVersion: options.resourceVersion,
          timeoutSeconds: options.timeoutSeconds.toString(),
        },
        ...(metadataOnly && { accept: metadataAccept("PartialObjectMetadata") }),
      },
      ({ type, object }) => {
        // What else came with the last bytes counts no more.
        if (control.signal.aborted) return;
        if (type === "ERROR") {
          seen.refusal = watchError(`WATCH ${path}`, object);
          abort();
          return;
        }
        watchdog.refresh();
        if (type !== "BOOKMARK") onChange(type, object);
        onProgress(getString(object["metadata"], "resourceVersion"));
      },
      control.signal,
      onOpen,
    );
  } catch (error) {
    if (!(error instanceof KubeApiError)) return { kind: "broken", error };
    seen.refusal = error;
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", abort);
  }
  const { refusal } = seen;
  if (refusal !== undefined) {
    return refusal.status === 410 ? { kind: "expired" } : { kind: "refused", error: refusal };
  }
  return { kind: seen.isSilent ? "watchdog" : "closed" };
}
