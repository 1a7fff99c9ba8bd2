/** One watch, from a resource version until it ends for whatever reason. */
import { getString, type JsonObject } from "../core/kubernetes.ts";
import { KubeApiError, watchError } from "./errors.ts";
import { metadataAccept, type Collection } from "./list.ts";
import type { Transport } from "./transport.ts";

/** Why a watch ended, by which the informer decides what comes next. */
export type WatchEnd =
  /** The API server ended it, as it was asked to after a while. */
  | { readonly kind: "closed" }
  /** Nothing came for too long, not even a bookmark: the connection is dead and nobody says so. */
  | { readonly kind: "watchdog" }
  /** 410: the API server does not remember what came after our resource version. */
  | { readonly kind: "expired" }
  /** The API server refused it, or sent an ERROR event: our resource version may be of no use. */
  | { readonly kind: "refused"; readonly error: KubeApiError }
  /** The connection failed or broke, or a handler threw. */
  | { readonly kind: "broken"; readonly error: unknown };

export interface WatchOptions {
  readonly transport: Pick<Transport, "watch">;
  readonly collection: Collection;
  readonly resourceVersion: string;
  /** After so long the API server ends the watch. */
  readonly timeoutSeconds: number;
  readonly watchdogMs: number;
  readonly signal: AbortSignal;
  /** The API server has accepted the watch. */
  readonly onOpen?: () => void;
  /** Called for ADDED, MODIFIED and DELETED. */
  readonly onChange: (type: string, object: JsonObject) => void;
  /** Called after every event and bookmark: from there on the next watch may start. */
  readonly onProgress: (resourceVersion: string | undefined) => void;
}

export async function watchOnce(options: WatchOptions): Promise<WatchEnd> {
  const { transport, collection, watchdogMs, signal, onOpen, onChange, onProgress } = options;
  const { path, query, metadataOnly = false } = collection;
  const control = new AbortController();
  const ended = AbortSignal.any([control.signal, signal]);
  const seen: { isSilent: boolean; refusal: KubeApiError | undefined } = {
    isSilent: false,
    refusal: undefined,
  };
  // One timer that is moved: events may come by the thousand.
  const watchdog = setTimeout(() => {
    seen.isSilent = true;
    control.abort();
  }, watchdogMs);
  try {
    await transport.watch(
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
        if (ended.aborted) return;
        if (type === "ERROR") {
          seen.refusal = watchError(`WATCH ${path}`, object);
          control.abort();
          return;
        }
        watchdog.refresh();
        if (type !== "BOOKMARK") onChange(type, object);
        onProgress(getString(object["metadata"], "resourceVersion"));
      },
      ended,
      onOpen,
    );
  } catch (error) {
    if (!(error instanceof KubeApiError)) return { kind: "broken", error };
    seen.refusal = error;
  } finally {
    clearTimeout(watchdog);
  }
  const { refusal } = seen;
  if (refusal !== undefined) {
    return refusal.status === 410 ? { kind: "expired" } : { kind: "refused", error: refusal };
  }
  return { kind: seen.isSilent ? "watchdog" : "closed" };
}
