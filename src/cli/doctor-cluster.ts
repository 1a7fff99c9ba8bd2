/** The cluster of `pullpass doctor`, with the rights of whoever asks: what they may not read is noted. */
import { createApis, type KubeApis } from "../kube/api.ts";
import { hasStatus } from "../kube/errors.ts";
import { createPodReader } from "../kube/resources/pods.ts";
import type { Transport } from "../kube/transport.ts";

export interface Cluster {
  readonly transport: Transport;
  readonly apis: KubeApis;
  readonly reader: ReturnType<typeof createPodReader>;
  /** Undefined if whoever asks has not the right; then `what` is one of the lines of `unread`. */
  attempt<T>(what: string, read: () => Promise<T>): Promise<T | undefined>;
  /** Notes that something is not known. */
  note(what: string, why: string): void;
  unread(): readonly string[];
}

export function openCluster(transport: Transport): Cluster {
  const apisFor = createApis(transport);
  // In the order in which they were asked for, whatever is answered first.
  const notes = new Map<string, { why: string; count: number }>();
  const entryOf = (what: string) => notes.getOrInsertComputed(what, () => ({ why: "", count: 0 }));
  const note: Cluster["note"] = (what, why) => {
    const entry = entryOf(what);
    if (entry.count === 0) entry.why = why;
    entry.count++;
  };
  return {
    transport,
    // Of a priority, so that there are only so many requests at a time.
    apis: apisFor("low"),
    reader: createPodReader((priority = "low") => apisFor(priority)),
    async attempt(what, read) {
      entryOf(what);
      try {
        return await read();
      } catch (error) {
        if (!hasStatus(error, 403)) throw error;
        note(what, error.message);
        return undefined;
      }
    },
    note,
    unread: () =>
      notes
        .entries()
        .filter(([, { count }]) => count > 0)
        .map(
          ([what, { why, count }]) =>
            `${what}: ${why}${count > 1 ? ` (and ${(count - 1).toString()} more)` : ""}`,
        )
        .toArray(),
  };
}

/** The path of a collection of the core API, in one namespace or in all. */
export function pathOf(plural: string, namespace: string | undefined): string {
  return namespace === undefined ? `/api/v1/${plural}` : `/api/v1/namespaces/${namespace}/${plural}`;
}

/** Reads each object once. */
export function once<T>(
  read: (namespace: string, name: string) => Promise<T>,
): (namespace: string, name: string) => Promise<T> {
  const readings = new Map<string, Promise<T>>();
  return (namespace, name) =>
    readings.getOrInsertComputed(`${namespace}/${name}`, () => read(namespace, name));
}
