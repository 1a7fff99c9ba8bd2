/** Which namespaces opted in, and which did so a moment ago. */
import type { Namespace } from "../core/kubernetes.ts";
import type { Versioned } from "../core/store.ts";
import type { Informer } from "../kube/informer.ts";

export interface OptIns {
  /** The namespace, if it is known to have opted in. */
  get(namespace: string): Namespace | undefined;
  /** When it opted in, as Unix time in milliseconds; undefined if it had before this process asked. */
  readonly optedInAt: (namespace: string) => number | undefined;
  /** It opted in less than a minute ago, or so recently that no watch has reported it: its first copies are about to come. */
  isRecent(namespace: string): boolean;
  /** It does not count as recent any more. */
  forget(namespace: string): void;
}

/**
 * The copies of a namespace that opts in are there within a second; within 14 s if the leader dies meanwhile (see the
 * timing of the leader election); and a minute leaves room for an API server that is restarted.
 */
const FIRST_COPIES_MS = 60_000;

/** Namespaces that had opted in before the first list did so long ago. */
export function trackOptIns(
  namespaces: Pick<Informer<Namespace & Versioned>, "store" | "isSynced" | "subscribe">,
): OptIns {
  /** By the clock of `Date`. */
  const times = new Map<string, number>();
  const forgotten = new Set<string>();
  namespaces.subscribe((_, name, current, previous) => {
    if (current?.isOptedIn !== true) {
      times.delete(name);
      forgotten.delete(name);
    } else if (namespaces.isSynced && previous?.isOptedIn !== true) {
      times.set(name, Date.now());
    }
  });
  const get = (name: string): Namespace | undefined => {
    const namespace = namespaces.store.get("", name);
    return namespace?.isOptedIn === true ? namespace : undefined;
  };
  return {
    get,
    optedInAt: (name) => times.get(name),
    isRecent(name) {
      // The API server may see that it opted in where Pullpass, which copies nothing there, does not.
      if (namespaces.store.get("", name)?.problems.includes("LabelsTooLong") === true) return false;
      if (get(name) === undefined) return true;
      return !forgotten.has(name) && Date.now() - (times.get(name) ?? -Infinity) < FIRST_COPIES_MS;
    },
    forget(name) {
      if (times.has(name)) forgotten.add(name);
    },
  };
}
