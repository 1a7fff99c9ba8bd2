/** Plans the copies of a namespace: what to write and what to remove, so that it has what it may have, and no more. */
import type { AddressedCredential } from "./credential.ts";
import type { Address } from "./address.ts";
import type { Registry } from "./registry.ts";

/** What copies need of one entry of the configuration that has credentials. */
export interface ReplicatedRegistry extends Registry {
  /** The concrete hosts behind an address with `*`. */
  readonly hosts: readonly Address[];
}

/** A registry and its credentials as its source has them now; undefined while the source cannot be read. */
export interface Source {
  readonly registry: ReplicatedRegistry;
  readonly credentials: readonly AddressedCredential[] | undefined;
}

/** A pull secret as it has to be, whatever the namespace. */
export interface Copy {
  /** The Secret's name. */
  readonly name: string;
  /** The text under `.dockerconfigjson`. */
  readonly document: string;
  /** The names of the registries in it, in configuration order. */
  readonly registries: readonly string[];
}

/** A Secret that carries our label, as far as a plan goes. */
export interface ExistingCopy {
  readonly uid: string;
  /** The text under `.dockerconfigjson`; undefined if there is none. */
  readonly document: string | undefined;
  /** The names in its annotation, joined by commas. */
  readonly registries: string | undefined;
  /** Labels and annotations of ours are all as we write them. */
  readonly isMarked: boolean;
  /** False for another type and for `immutable: true`: the API server then takes no new content. */
  readonly isUpdatable: boolean;
}

export type ReplicationAction =
  | { readonly kind: "create"; readonly copy: Copy }
  | { readonly kind: "update"; readonly copy: Copy; readonly uid: string }
  /** Removes and creates, because the Secret cannot be changed in place. */
  | { readonly kind: "replace"; readonly copy: Copy; readonly uid: string }
  | { readonly kind: "remove"; readonly name: string; readonly uid: string };
