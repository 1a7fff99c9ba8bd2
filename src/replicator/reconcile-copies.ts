/** Brings the copies of one namespace in order: carries out the plan, and notes how each write ended. */
import type { Namespace } from "../core/kubernetes.ts";
import {
  planReplication,
  type Copy,
  type ExistingCopy,
  type ReplicationAction,
  type WantedCopies,
} from "../core/replication.ts";
import type { ObjectStore } from "./object-store.ts";
import type { CopyWriter, Lane, Warn, WriteOutcome } from "./ports.ts";

export interface CopyReconciler {
  readonly copies: ObjectStore<ExistingCopy>;
  readonly writer: CopyWriter;
  readonly warn: Warn;
  /** False from the moment on at which another replica may write; asked before each write. */
  readonly mayWrite: () => boolean;
  readonly onWrite: (action: ReplicationAction["kind"], outcome: WriteOutcome["kind"]) => void;
}

/** What is left to do: nothing, look again at once, or look again some day because a Secret of others is in the way. */
export type CopiesResult = "done" | "again" | "blocked";

/**
 * The actions are independent of each other, so one that fails does not keep the others from being done.
 *
 * @throws the first error, once all actions have ended.
 */
export async function reconcileCopies(
  { copies, writer, warn, mayWrite, onWrite }: CopyReconciler,
  namespace: Namespace,
  wanted: WantedCopies,
  lane: Lane,
): Promise<CopiesResult> {
  const actions = planReplication(namespace, wanted, copies.in(namespace.name));
  const results = await Promise.allSettled(actions.map((action) => act(action)));
  const failure = results.find((result) => result.status === "rejected");
  if (failure !== undefined) throw failure.reason;
  const outcomes = results.flatMap((result) => (result.status === "fulfilled" ? (result.value ?? []) : []));
  if (outcomes.some(({ kind }) => kind === "lost" || kind === "exists")) return "again";
  return outcomes.some(({ kind }) => kind === "foreign") ? "blocked" : "done";

  async function act(action: ReplicationAction): Promise<WriteOutcome | undefined> {
    if (!mayWrite()) return undefined;
    switch (action.kind) {
      case "create":
        return note(action, action.copy, await writer.create(namespace.name, action.copy, lane));
      case "update":
        return note(action, action.copy, await writer.update(namespace.name, action.copy, action.uid, lane));
      case "replace":
        await remove(action.copy.name, action.uid);
        // Whoever may write by now finds the Secret missing, and creates it.
        if (!mayWrite()) return undefined;
        return note(action, action.copy, await writer.create(namespace.name, action.copy, lane));
      case "remove":
        await remove(action.name, action.uid);
        onWrite("remove", "written");
        return undefined;
    }
  }

  async function remove(name: string, uid: string): Promise<void> {
    await writer.remove(namespace.name, name, uid, lane);
    if (copies.in(namespace.name).get(name)?.uid === uid) copies.remove(namespace.name, name);
  }

  function note(action: ReplicationAction, copy: Copy, outcome: WriteOutcome): WriteOutcome {
    onWrite(action.kind, outcome.kind);
    switch (outcome.kind) {
      case "written":
      case "exists":
        copies.set(namespace.name, copy.name, outcome.existing);
        break;
      case "lost":
        copies.remove(namespace.name, copy.name);
        break;
      case "foreign":
        warn({
          reason: "SecretNotOurs",
          message: `Secret ${copy.name} was not made by Pullpass and is left alone; pods get it as it is. Once it is deleted, it is made from ${describe(copy)} within five minutes.`,
          secret: { namespace: namespace.name, name: copy.name, uid: outcome.uid },
        });
        break;
      case "namespace-gone":
        break;
    }
    return outcome;
  }
}

function describe({ registries }: Copy): string {
  return `${registries.length === 1 ? "registry" : "registries"} ${registries.join(", ")}`;
}
