/** Brings the copies of one namespace in order: carries out the plan, and notes how each write ended. */
import type { Namespace } from "../core/kubernetes.ts";
import {
  LEAVE_REASONS,
  planReplication,
  type Copy,
  type ExistingCopy,
  type ReplicationAction,
  type WantedCopies,
} from "../core/replication.ts";
import type { Store } from "../core/store.ts";
import type { CopyWriter, Priority, Warn, WriteOutcome } from "./ports.ts";
import type { Tally } from "./progress.ts";

export interface CopyReconciler {
  readonly copies: Store<ExistingCopy>;
  readonly writer: CopyWriter;
  readonly warn: Warn;
  readonly onWrite: (action: ReplicationAction["kind"], outcome: WriteOutcome["kind"]) => void;
}

export interface CopiesResult extends Tally {
  /**
   * What is left to do: nothing, look again at once, or look again some day because a Secret of others is in the way. With
   * `failed` the first error; with `not-leading` it is left to another replica.
   */
  readonly kind: "done" | "again" | "blocked" | "failed" | "not-leading";
  readonly error?: unknown;
}

/** The actions are independent of each other, so one that fails does not keep the others from being done. */
export async function reconcileCopies(
  { copies, writer, warn, onWrite }: CopyReconciler,
  namespace: Namespace,
  wanted: WantedCopies,
  priority: Priority,
): Promise<CopiesResult> {
  const actions = planReplication(namespace, wanted, copies.in(namespace.name));
  const tally = { written: 0, removed: 0 };
  const results = await Promise.allSettled(actions.map((action) => act(action)));
  const failure = results.find((result) => result.status === "rejected");
  if (failure !== undefined) return { kind: "failed", error: failure.reason, ...tally };
  const kinds = new Set(results.map((result) => (result.status === "fulfilled" ? result.value : undefined)));
  if (kinds.has("not-leading")) return { kind: "not-leading", ...tally };
  if (kinds.has("gone") || kinds.has("exists")) return { kind: "again", ...tally };
  return { kind: kinds.has("not-owned") ? "blocked" : "done", ...tally };

  async function act(action: ReplicationAction): Promise<WriteOutcome["kind"] | undefined> {
    switch (action.kind) {
      case "create":
        return note(action, action.copy, await writer.create(namespace.name, action.copy, priority));
      case "update":
        return note(
          action,
          action.copy,
          await writer.update(namespace.name, action.copy, action.uid, priority),
        );
      case "replace":
        // Whoever leads by now finds the Secret missing, and creates it.
        if ((await remove(action.copy.name, action.uid)) === "not-leading") return "not-leading";
        return note(action, action.copy, await writer.create(namespace.name, action.copy, priority));
      case "remove": {
        const kind = await remove(action.name, action.uid);
        if (kind === "not-leading") return kind;
        onWrite("remove", "written");
        tally.removed++;
        return undefined;
      }
      case "leave": {
        const { name, reason } = action;
        const { uid } = copies.get(namespace.name, name) ?? {};
        const secret = { namespace: namespace.name, name, ...(uid === undefined ? {} : { uid }) };
        warn({ reason, message: `Secret ${name} ${LEAVE_REASONS[reason]}`, secret });
        return undefined;
      }
    }
  }

  async function remove(name: string, uid: string): Promise<"removed" | "not-leading"> {
    const { kind } = await writer.remove(namespace.name, name, uid, priority);
    const isGone = kind === "removed" && copies.get(namespace.name, name)?.uid === uid;
    if (isGone) copies.remove(namespace.name, name);
    return kind;
  }

  function note(action: ReplicationAction, copy: Copy, outcome: WriteOutcome): WriteOutcome["kind"] {
    onWrite(action.kind, outcome.kind);
    switch (outcome.kind) {
      case "written":
        tally.written++;
        copies.set(namespace.name, copy.name, outcome.existing);
        break;
      case "exists":
        copies.set(namespace.name, copy.name, outcome.existing);
        break;
      case "gone":
        copies.remove(namespace.name, copy.name);
        break;
      case "not-owned":
        warn({
          reason: "SecretNotOurs",
          message: `Secret ${copy.name} was not made by Pullpass and is left alone; pods get it as it is. Once it is deleted, it is made from ${describe(copy)} within five minutes.`,
          secret: { namespace: namespace.name, name: copy.name, uid: outcome.uid },
        });
        break;
      case "namespace-gone":
      case "not-leading":
        break;
    }
    return outcome.kind;
  }
}

function describe({ registries }: Copy): string {
  return `${registries.length === 1 ? "registry" : "registries"} ${registries.join(", ")}`;
}
