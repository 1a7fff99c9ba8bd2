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

const NOTHING: Tally = { written: 0, removed: 0 };

export class Progress {
  readonly #onReport: (report: ReplicationReport) => void;
  /** Namespaces that are known to have opted in. */
  readonly #optedIn = new Set<string>();
  /** What was done so far in namespaces that are not finished. */
  readonly #unfinished = new Map<string, Tally>();
  readonly #expected = new Set<string>();
  readonly #registries = new Set<string>();
  #batch = emptyBatch("changed");
  #isOpen = false;

  constructor(onReport: (report: ReplicationReport) => void) {
    this.#onReport = onReport;
  }

  /** A new term starts. These namespaces opted in before, so that is not reported. */
  start(optedIn: Iterable<string>): void {
    this.#optedIn.clear();
    for (const name of optedIn) this.#optedIn.add(name);
    this.#unfinished.clear();
    this.#expected.clear();
    this.#registries.clear();
    this.#batch = emptyBatch("started");
  }

  /** A change affects all namespaces: the keys that are expected until `closeBatch` are reported together. */
  openBatch(registries: readonly string[]): void {
    this.#isOpen = true;
    for (const name of registries) this.#registries.add(name);
  }

  /** This key of the queue is part of the batch. */
  expect(key: string): void {
    this.#expected.add(key);
  }

  closeBatch(): void {
    this.#isOpen = false;
    this.#endBatch();
  }

  /** Some work in a namespace is done, and more follows at once. */
  add(namespace: string, tally: Tally): void {
    this.#unfinished.set(namespace, sum(this.#unfinished.get(namespace) ?? NOTHING, tally));
  }

  /** `copies` is the number of copies that exist now. */
  end(namespace: Namespace, ending: Ending, tally: Tally, copies: number): void {
    const { name } = namespace;
    const done = sum(this.#unfinished.get(name) ?? NOTHING, tally);
    this.#unfinished.delete(name);
    if (this.#expected.delete(name)) {
      const { namespaces, blocked, failed } = this.#batch;
      this.#batch = {
        ...this.#batch,
        ...sum(this.#batch, done),
        namespaces: namespaces + 1,
        blocked: blocked + Number(ending === "blocked"),
        failed: failed + Number(ending === "failed"),
      };
      if (ending === "done") this.#recordOptIn(namespace);
      this.#endBatch();
      return;
    }
    if (ending === "failed") this.#unfinished.set(name, done);
    // A blocked namespace has an Event that says more.
    if (ending !== "done") return;
    const change = this.#recordOptIn(namespace);
    if (change !== undefined) {
      this.#onReport({
        kind: change,
        namespace: name,
        copies: change === "opted-in" ? copies : done.removed,
      });
    } else if (done.written + done.removed > 0) {
      this.#onReport({ kind: "corrected", namespace: name, ...done });
    }
  }

  endAccount(key: string, ending: "changed" | "unchanged" | "failed"): void {
    if (!this.#expected.delete(key)) return;
    const { serviceAccounts, failed } = this.#batch;
    this.#batch = {
      ...this.#batch,
      serviceAccounts: serviceAccounts + Number(ending === "changed"),
      failed: failed + Number(ending === "failed"),
    };
    this.#endBatch();
  }

  /** The namespace or the ServiceAccount no longer exists. */
  forget(key: string): void {
    this.#optedIn.delete(key);
    this.#unfinished.delete(key);
    if (this.#expected.delete(key)) this.#endBatch();
  }

  #endBatch(): void {
    if (this.#isOpen || this.#expected.size > 0) return;
    const { kind, ...counts } = this.#batch;
    const isWorthReporting = kind === "started" || Object.values(counts).some((count) => count > 0);
    const names = this.#registries.size === 0 ? {} : { registries: [...this.#registries] };
    this.#batch = emptyBatch("changed");
    this.#registries.clear();
    if (isWorthReporting) this.#onReport({ kind, ...names, ...counts });
  }

  #recordOptIn({ name, isOptedIn }: Namespace): "opted-in" | "opted-out" | undefined {
    if (isOptedIn === this.#optedIn.has(name)) return undefined;
    if (isOptedIn) this.#optedIn.add(name);
    else this.#optedIn.delete(name);
    return isOptedIn ? "opted-in" : "opted-out";
  }
}

type Batch = { readonly kind: "started" | "changed" } & Omit<BatchReport, "registries">;

function emptyBatch(kind: Batch["kind"]): Batch {
  return { kind, namespaces: 0, ...NOTHING, serviceAccounts: 0, blocked: 0, failed: 0 };
}

function sum(a: Tally, b: Tally): Tally {
  return { written: a.written + b.written, removed: a.removed + b.removed };
}
