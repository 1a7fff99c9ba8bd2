/** What the replicator knows of a Secret that a pod names, without reading it. */
import { expiryOf, type PullSecretState } from "../core/pull-secret.ts";
import { isUpToDate, type Source } from "../core/replication.ts";
import type { NamespaceCopies } from "./count-copies.ts";

/*
 * The first row that holds decides.
 *
 * the Secret                                                     | its state
 * is not ours, and has the name of a copy                        | not-owned
 * is a source                                                    | unknown
 * is a copy with the content that it should have                 | read: the addresses of its registries' credentials
 * is a copy with another content, which is about to be replaced, | unknown
 *   or is retained because credentials cannot be read now        |
 * should be there as a copy, and is not                          | missing
 * is none of ours: an admin or somebody else keeps it            | unknown
 */
export function pullSecretState(
  name: string,
  sources: readonly Source[],
  { desired, existing, refused }: Pick<NamespaceCopies, "desired" | "existing" | "refused">,
): PullSecretState {
  if (refused.has(name)) return { kind: "not-owned" };
  if (desired.sources.has(name)) return { kind: "unknown" };
  const current = existing.get(name);
  const copy = desired.copies.find((candidate) => candidate.name === name);
  if (current === undefined) {
    return { kind: copy === undefined && !desired.retained.has(name) ? "unknown" : "missing" };
  }
  if (copy === undefined || !isUpToDate(copy, current)) return { kind: "unknown" };
  const credentials = sources
    .filter(({ registry }) => copy.registries.includes(registry.name))
    .flatMap((source) => (typeof source.credentials === "string" ? [] : source.credentials))
    .map(({ address, password }) => ({ address, expiresAt: expiryOf(password) }));
  return { kind: "read", credentials };
}
