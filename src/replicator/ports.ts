/** What the replicator needs of a cluster. */
import type { Operation } from "fast-json-patch";
import type { ServiceAccount } from "../core/attachment.ts";
import type { Copy, ExistingCopy } from "../core/replication.ts";
import type { Versioned } from "../core/store.ts";

/** Requests of high priority go before those of low: a new namespace's pods wait for its copies. */
export type Priority = "high" | "low";

/** How a write ended. Every other end is an error that the caller tries again. */
export type WriteOutcome =
  /** The Secret is as it has to be. */
  | { readonly kind: "written"; readonly existing: ExistingCopy }
  /** One that carries our label is there already, and was not known. Nothing was written. */
  | { readonly kind: "exists"; readonly existing: ExistingCopy }
  /** One of that name without our label is there. Nothing was written. */
  | { readonly kind: "not-owned"; readonly uid: string }
  /** The Secret is gone, or another one has its name by now. Nothing was written. */
  | { readonly kind: "gone" }
  /** The namespace is gone or on its way. Nothing was written. */
  | { readonly kind: "namespace-gone" }
  /** By the time that its turn came this replica did not write any more. Nothing was written. */
  | { readonly kind: "not-leading" };

/** Writes copies. */
export interface CopyWriter {
  /** Fails to overwrite: what is there already stays as it is. */
  create(namespace: string, copy: Copy, priority: Priority): Promise<WriteOutcome>;
  /** Changes the Secret with that uid in place, and none other. */
  update(namespace: string, copy: Copy, uid: string, priority: Priority): Promise<WriteOutcome>;
  /** Removes the Secret with that uid; one that is gone is no error. */
  remove(namespace: string, name: string, uid: string, priority: Priority): Promise<RemoveOutcome>;
}

export type RemoveOutcome = { readonly kind: "removed" | "not-leading" };

/** The metadata of a ServiceAccount, as far as attachment goes. */
export interface AccountMetadata extends Versioned {
  /** The digest of the annotation that lists the pull secrets that we added; undefined if we added none. */
  readonly attached: string | undefined;
}

/** Reads and changes ServiceAccounts. */
export interface ServiceAccountClient {
  /** Undefined if there is none. */
  read(namespace: string, name: string, priority: Priority): Promise<ServiceAccount | undefined>;
  /** "conflict" if somebody else was faster: read again. The version is that after the patch. */
  patch(
    namespace: string,
    name: string,
    operations: readonly Operation[],
    priority: Priority,
  ): Promise<
    | { readonly kind: "patched"; readonly version: number }
    | { readonly kind: "conflict" | "gone" | "not-leading" }
  >;
}

/** Something that a person has to know. */
export interface ClusterWarning {
  /** CamelCase, as events have it. */
  readonly reason: string;
  /** One sentence, nothing secret. */
  readonly message: string;
  /** The Secret that it is about. `kubectl events --for secret/NAME` shows it. */
  readonly secret?: { readonly namespace: string; readonly name: string; readonly uid?: string };
  /** The name of the Namespace that it is about. Without it, and without a Secret, it is about Pullpass's own pod. */
  readonly namespace?: string;
}

/** Tells people, by an Event; the same warning again is not written again for a while. Does not throw. */
export type Warn = (warning: ClusterWarning) => void;
