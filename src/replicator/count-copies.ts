/** Counts, registry by registry, in how many namespaces its copies are up to date. */
import type { Namespace } from "../core/kubernetes.ts";
import type { CopyCounts } from "../core/registry-status.ts";
import { isUpToDate, type DesiredCopies, type ExistingCopy } from "../core/replication.ts";

/** What is known of one namespace. */
export interface NamespaceCopies {
  readonly desired: DesiredCopies;
  readonly existing: ReadonlyMap<string, ExistingCopy>;
  /** The names of copies that a Secret that is not ours has. */
  readonly refused: ReadonlySet<string>;
  /** The last attempt to write failed. */
  readonly isFailing: boolean;
}

const NONE: CopyCounts = { selected: 0, synced: 0, refused: 0, failing: 0 };

/*
 * a Secret with the registry's credentials            | the namespace counts as
 * has, as one of ours does not, the name of a copy    | refused
 * is not as desired, and the last write failed        | failing
 * is not as desired                                   | selected alone
 * all are as desired, or are retained                 | synced
 */
export function createCopyTally(): {
  add(namespace: Namespace, copies: NamespaceCopies): void;
  readonly counts: ReadonlyMap<string, CopyCounts>;
} {
  const counts = new Map<string, CopyCounts>();
  return {
    counts,
    add({ isOptedIn, isTerminating }, { desired, existing, refused, isFailing }) {
      if (!isOptedIn || isTerminating) return;
      const refusedOf = new Set<string>();
      const outdatedOf = new Set<string>();
      for (const copy of desired.copies) {
        const { name, registries } = copy;
        const isRefused = refused.has(name) || desired.sources.has(name);
        const current = existing.get(name);
        const isSynced = current !== undefined && (desired.retained.has(name) || isUpToDate(copy, current));
        if (isRefused) for (const registry of registries) refusedOf.add(registry);
        else if (!isSynced) for (const registry of registries) outdatedOf.add(registry);
      }
      for (const [registry, secretName] of desired.registries) {
        // Its credentials cannot be read now, and there is nothing to fall back on.
        if (desired.retained.has(secretName) && !existing.has(secretName)) outdatedOf.add(registry);
        const before = counts.get(registry) ?? NONE;
        const isRefused = refusedOf.has(registry);
        const isOutdated = !isRefused && outdatedOf.has(registry);
        counts.set(registry, {
          selected: before.selected + 1,
          synced: before.synced + Number(!isRefused && !isOutdated),
          refused: before.refused + Number(isRefused),
          failing: before.failing + Number(isOutdated && isFailing),
        });
      }
    },
  };
}
