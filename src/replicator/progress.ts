/** Reports what was done: for one namespace, or once for all of them after a change that affects them all. */
import type { Namespace } from "../core/kubernetes.ts";

/** How many Secrets were written and deleted. */
export interface Tally {
  readonly written: number;
  readonly removed: number;
}

/** How the work on a namespace ended. */
export type Ending = "done" | "blocked" | "failed";

export type ReplicationReport =
  | { readonly kind: "opted-in" | "opted-out"; readonly namespace: string; readonly copies: number }
  | ({ readonly kind: "corrected"; readonly namespace: string } & Tally)
  | ({ readonly kind: "started" | "changed" } & BatchReport);

interface BatchReport extends Tally {
  /** Those that were added or removed, or whose credentials changed. */
  readonly registries?: readonly string[];
  /** Namespaces that were out of sync. */
  readonly namespaces: number;
  readonly serviceAccounts: number;
  /** Namespaces where a Secret that is not ours has the name of a copy. */
  readonly blocked: number;
  /** Namespaces and ServiceAccounts that will be retried. */
  readonly failed: number;
}

/** The log message for each report. */
export const REPORTS: Readonly<Record<ReplicationReport["kind"], string>> = {
  "opted-in": "namespace opted in: copies are in place",
  "opted-out": "namespace opted out: copies are removed",
  corrected: "copies of a namespace were corrected",
  started: "copies are in place",
  changed: "registries or credentials changed: copies are in place",
};

export interface Progress {
  /** A new term starts. These namespaces opted in before, so that is not reported. */
  start(optedIn: Iterable<string>): void;
  /** A change affects all namespaces: the keys that are expected until `closeBatch` are reported together. */
  openBatch(registries: readonly string[]): void;
  /** This key of the queue is part of the batch. */
  expect(key: string): void;
  closeBatch(): void;
  /** Some work in a namespace is done, and more follows at once. */
  add(namespace: string, tally: Tally): void;
  /** `copies` is the number of copies that exist now. */
  end(namespace: Namespace, ending: Ending, tally: Tally, copies: number): void;
  endAccount(key: string, ending: "changed" | "unchanged" | "failed"): void;
  /** The namespace or the ServiceAccount no longer exists. */
  forget(key: string): void;
}

const NOTHING: Tally = { written: 0, removed: 0 };

export function createProgress(onReport: (report: ReplicationReport) => void): Progress {
  /** Namespaces that are known to have opted in. */
  const optedIn = new Set<string>();
  /** What was done so far in namespaces that are not finished. */
  const unfinished = new Map<string, Tally>();
  const expected = new Set<string>();
  const registries = new Set<string>();
  let batch = emptyBatch("changed");
  let isOpen = false;

  function endBatch(): void {
    if (isOpen || expected.size > 0) return;
    const { kind, ...counts } = batch;
    const isWorthReporting = kind === "started" || Object.values(counts).some((count) => count > 0);
    const names = registries.size === 0 ? {} : { registries: [...registries] };
    batch = emptyBatch("changed");
    registries.clear();
    if (isWorthReporting) onReport({ kind, ...names, ...counts });
  }

  function recordOptIn({ name, isOptedIn }: Namespace): "opted-in" | "opted-out" | undefined {
    if (isOptedIn === optedIn.has(name)) return undefined;
    if (isOptedIn) optedIn.add(name);
    else optedIn.delete(name);
    return isOptedIn ? "opted-in" : "opted-out";
  }

  return {
    start(names) {
      optedIn.clear();
      for (const name of names) optedIn.add(name);
      unfinished.clear();
      expected.clear();
      registries.clear();
      batch = emptyBatch("started");
    },
    openBatch(changed) {
      isOpen = true;
      for (const name of changed) registries.add(name);
    },
    expect(key) {
      expected.add(key);
    },
    closeBatch() {
      isOpen = false;
      endBatch();
    },
    add(namespace, tally) {
      unfinished.set(namespace, sum(unfinished.get(namespace) ?? NOTHING, tally));
    },
    end(namespace, ending, tally, copies) {
      const { name } = namespace;
      const done = sum(unfinished.get(name) ?? NOTHING, tally);
      unfinished.delete(name);
      if (expected.delete(name)) {
        batch = {
          ...batch,
          ...sum(batch, done),
          namespaces: batch.namespaces + 1,
          blocked: batch.blocked + Number(ending === "blocked"),
          failed: batch.failed + Number(ending === "failed"),
        };
        if (ending === "done") recordOptIn(namespace);
        endBatch();
        return;
      }
      if (ending === "failed") unfinished.set(name, done);
      // A blocked namespace has an Event that says more.
      if (ending !== "done") return;
      const change = recordOptIn(namespace);
      if (change !== undefined) {
        onReport({ kind: change, namespace: name, copies: change === "opted-in" ? copies : done.removed });
      } else if (done.written + done.removed > 0) {
        onReport({ kind: "corrected", namespace: name, ...done });
      }
    },
    endAccount(key, ending) {
      if (!expected.delete(key)) return;
      batch = {
        ...batch,
        serviceAccounts: batch.serviceAccounts + Number(ending === "changed"),
        failed: batch.failed + Number(ending === "failed"),
      };
      endBatch();
    },
    forget(key) {
      optedIn.delete(key);
      unfinished.delete(key);
      if (expected.delete(key)) endBatch();
    },
  };
}

type Batch = { readonly kind: "started" | "changed" } & Omit<BatchReport, "registries">;

function emptyBatch(kind: Batch["kind"]): Batch {
  return { kind, namespaces: 0, ...NOTHING, serviceAccounts: 0, blocked: 0, failed: 0 };
}

function sum(a: Tally, b: Tally): Tally {
  return { written: a.written + b.written, removed: a.removed + b.removed };
}
