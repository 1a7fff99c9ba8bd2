/** What the replicator needs of a cluster. */
import type { Operation } from "fast-json-patch";
import type { ServiceAccount } from "../core/attachment.ts";
import type { Copy, ExistingCopy } from "../core/replication.ts";
import type { Versioned } from "../core/store.ts";

/** Requests of high priority go before those of low: a new namespace's pods wait for its copies. */
export type Priority = "high" | "low";

/** The outcome of a write. Anything else is an error, and the caller retries. */
export type WriteOutcome =
  /** The Secret is as desired. */
  | { readonly kind: "written"; readonly existing: ExistingCopy }
  /** A Secret with our label exists already, which was not known. Nothing was written. */
  | { readonly kind: "exists"; readonly existing: ExistingCopy }
  /** A Secret with that name exists, without our label. Nothing was written. */
  | { readonly kind: "not-owned"; readonly uid: string }
  /** The Secret no longer exists, or was replaced by another one. Nothing was written. */
  | { readonly kind: "gone" }
  /** The namespace is deleted, or is being deleted. Nothing was written. */
  | { readonly kind: "namespace-gone" }
  /** This replica lost leadership before the request was sent. Nothing was written. */
  | { readonly kind: "not-leading" };

/** Writes copies. */
export interface CopyWriter {
  /** Never overwrites an existing Secret. */
  create(namespace: string, copy: Copy, priority: Priority): Promise<WriteOutcome>;
  /** Updates the Secret in place, but only the one with that uid. */
  update(namespace: string, copy: Copy, uid: string, priority: Priority): Promise<WriteOutcome>;
  /** Deletes the Secret with that uid. It is not an error if it no longer exists. */
  remove(namespace: string, name: string, uid: string, priority: Priority): Promise<RemoveOutcome>;
}

export type RemoveOutcome = { readonly kind: "removed" | "not-leading" };

/** The metadata of a ServiceAccount, as far as attachment needs it. */
export interface AccountMetadata extends Versioned {
  /** The digest of the annotation that lists the pull secrets that Pullpass attached; undefined if there are none. */
  readonly attached: string | undefined;
}

/** Reads and changes ServiceAccounts. */
export interface ServiceAccountClient {
  /** Undefined if there is none. */
  read(namespace: string, name: string, priority: Priority): Promise<ServiceAccount | undefined>;
  /** "conflict": somebody else changed the account first; read it again. The version is the one after the patch. */
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

/** Something that a person needs to know. */
export interface ClusterWarning {
  /** In CamelCase, like the reasons of Events. */
  readonly reason: string;
  /** One or two sentences that contain nothing secret. */
  readonly message: string;
  /** The Secret that the warning is about. `kubectl events --for secret/NAME` shows the warning. */
  readonly secret?: { readonly namespace: string; readonly name: string; readonly uid?: string };
  /** The Namespace that the warning is about. Without any of these, it is about Pullpass's own pod. */
  readonly namespace?: string;
  /** Any other object in a namespace that the warning is about. */
  readonly object?: ObjectReference;
}

export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Records the warning as an Event, but not the same warning again for a while. Does not throw. */
export type Warn = (warning: ClusterWarning) => void;
