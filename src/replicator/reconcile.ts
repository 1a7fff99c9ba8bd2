/** Reconciles the copies of one namespace, or the pull secrets of one ServiceAccount: executes a plan of the core. */
import { planAttachment } from "../core/attachment.ts";
import type { Namespace } from "../core/kubernetes.ts";
import {
  LEAVE_REASONS,
  planReplication,
  type Copy,
  type DesiredCopies,
  type ExistingCopy,
  type ReplicationAction,
} from "../core/replication.ts";
import type { Store } from "../core/store.ts";
import type { CopyWriter, Priority, ServiceAccountClient, Warn, WriteOutcome } from "./ports.ts";
import type { Tally } from "./progress.ts";

export interface CopyReconciler {
  readonly copies: Store<ExistingCopy>;
  readonly writer: CopyWriter;
  readonly warn: Warn;
  readonly onWrite: (action: ReplicationAction["kind"], outcome: WriteOutcome["kind"]) => void;
}

export interface CopiesResult extends Tally {
  /**
   * What is left to do: nothing, reconcile again at once, or reconcile again later because a Secret that is not ours has the
   * name of a copy. `failed` comes with the first error; `not-leading` leaves the rest to another replica.
   */
  readonly kind: "done" | "again" | "blocked" | "failed" | "not-leading";
  readonly error?: unknown;
  /** The names of copies that a Secret that is not ours has. */
  readonly refused: ReadonlySet<string>;
}

/** The actions are independent of each other: if one fails, the others still take place. */
export async function reconcileCopies(
  reconciler: CopyReconciler,
  namespace: Namespace,
  desired: DesiredCopies,
  priority: Priority,
): Promise<CopiesResult> {
  const actions = planReplication(namespace, desired, reconciler.copies.in(namespace.name));
  const execution = new Execution(reconciler, namespace.name, priority);
  const results = await Promise.allSettled(actions.map((action) => execution.act(action)));
  const { tally, refused } = execution;
  const done = { ...tally, refused };
  const failure = results.find((result) => result.status === "rejected");
  if (failure !== undefined) return { kind: "failed", error: failure.reason, ...done };
  const kinds = new Set(results.map((result) => (result.status === "fulfilled" ? result.value : undefined)));
  if (kinds.has("not-leading")) return { kind: "not-leading", ...done };
  if (kinds.has("gone") || kinds.has("exists")) return { kind: "again", ...done };
  return { kind: kinds.has("not-owned") ? "blocked" : "done", ...done };
}

/** Executes the plan for one namespace. */
class Execution {
  readonly tally = { written: 0, removed: 0 };
  readonly refused = new Set<string>();
  readonly #reconciler: CopyReconciler;
  readonly #namespace: string;
  readonly #priority: Priority;

  constructor(reconciler: CopyReconciler, namespace: string, priority: Priority) {
    this.#reconciler = reconciler;
    this.#namespace = namespace;
    this.#priority = priority;
  }

  async act(action: ReplicationAction): Promise<WriteOutcome["kind"] | undefined> {
    const { writer, onWrite } = this.#reconciler;
    switch (action.kind) {
      case "create":
        return this.#create(action);
      case "update":
        return this.#record(
          action,
          await writer.update(this.#namespace, action.copy, action.uid, this.#priority),
        );
      case "replace":
        // Another leader finds the Secret missing, and creates it.
        if ((await this.#remove(action.copy.name, action.uid)) === "not-leading") return "not-leading";
        return this.#create(action);
      case "remove": {
        const kind = await this.#remove(action.name, action.uid);
        if (kind === "not-leading") return kind;
        onWrite("remove", "written");
        this.tally.removed++;
        return undefined;
      }
      case "leave":
        this.#warnOfLeft(action);
        return undefined;
    }
  }

  async #create(action: Writing): Promise<WriteOutcome["kind"]> {
    const { writer } = this.#reconciler;
    return this.#record(action, await writer.create(this.#namespace, action.copy, this.#priority));
  }

  async #remove(name: string, uid: string): Promise<"removed" | "not-leading"> {
    const { writer, copies } = this.#reconciler;
    const { kind } = await writer.remove(this.#namespace, name, uid, this.#priority);
    const isGone = kind === "removed" && copies.get(this.#namespace, name)?.uid === uid;
    if (isGone) copies.remove(this.#namespace, name);
    return kind;
  }

  #record({ kind, copy }: Writing, outcome: WriteOutcome): WriteOutcome["kind"] {
    const { copies, onWrite } = this.#reconciler;
    onWrite(kind, outcome.kind);
    switch (outcome.kind) {
      case "written":
        this.tally.written++;
        copies.set(this.#namespace, copy.name, outcome.existing);
        break;
      case "exists":
        copies.set(this.#namespace, copy.name, outcome.existing);
        break;
      case "gone":
        copies.remove(this.#namespace, copy.name);
        break;
      case "not-owned":
        this.refused.add(copy.name);
        this.#warnOfRefused(copy, outcome.uid);
        break;
      case "namespace-gone":
      case "not-leading":
        break;
    }
    return outcome.kind;
  }

  #warnOfLeft({ name, reason }: Extract<ReplicationAction, { kind: "leave" }>): void {
    const { copies, warn } = this.#reconciler;
    const { uid } = copies.get(this.#namespace, name) ?? {};
    const secret = { namespace: this.#namespace, name, ...(uid === undefined ? {} : { uid }) };
    warn({ reason, message: `Secret ${name} ${LEAVE_REASONS[reason]}`, secret });
  }

  #warnOfRefused(copy: Copy, uid: string): void {
    this.#reconciler.warn({
      reason: "SecretNotOurs",
      message: `Secret ${copy.name} was not created by Pullpass and is left alone; pods use it as it is. Within five minutes after it is deleted, Pullpass creates it from ${formatRegistries(copy)}.`,
      secret: { namespace: this.#namespace, name: copy.name, uid },
    });
  }
}

type Writing = Extract<ReplicationAction, { readonly copy: Copy }>;

function formatRegistries({ registries }: Copy): string {
  return `${registries.length === 1 ? "registry" : "registries"} ${registries.join(", ")}`;
}

/** `conflict`: somebody else changed the account first, and it has to be read again. */
export type AccountResult =
  | { readonly kind: "patched"; readonly version: number }
  | { readonly kind: "unchanged" | "conflict" | "gone" | "not-leading" };

/** Reads the account each time, because the watch delivers only metadata and every writer replaces the whole list. */
export async function reconcileAccount(
  client: ServiceAccountClient,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  desiredSecrets: readonly string[],
  priority: Priority,
): Promise<AccountResult> {
  const current = await client.read(namespace, name, priority);
  if (current === undefined) return { kind: "gone" };
  const operations = planAttachment(current, desiredSecrets);
  if (operations.length === 0) return { kind: "unchanged" };
  return client.patch(namespace, name, operations, priority);
}
