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
  { copies, writer, warn, onWrite }: CopyReconciler,
  namespace: Namespace,
  desired: DesiredCopies,
  priority: Priority,
): Promise<CopiesResult> {
  const actions = planReplication(namespace, desired, copies.in(namespace.name));
  const refused = new Set<string>();
  const tally = { written: 0, removed: 0, refused };
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
        return record(action, action.copy, await writer.create(namespace.name, action.copy, priority));
      case "update":
        return record(
          action,
          action.copy,
          await writer.update(namespace.name, action.copy, action.uid, priority),
        );
      case "replace":
        // Another leader finds the Secret missing, and creates it.
        if ((await remove(action.copy.name, action.uid)) === "not-leading") return "not-leading";
        return record(action, action.copy, await writer.create(namespace.name, action.copy, priority));
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

  function record(action: ReplicationAction, copy: Copy, outcome: WriteOutcome): WriteOutcome["kind"] {
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
        refused.add(copy.name);
        warn({
          reason: "SecretNotOurs",
          message: `Secret ${copy.name} was not created by Pullpass and is left alone; pods use it as it is. Within five minutes after it is deleted, Pullpass creates it from ${formatRegistries(copy)}.`,
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
