/** Whether an API server that trusts a bundle trusts what is served. */
import type { X509Certificate } from "node:crypto";
import { isIssuedBy, readBundle } from "./read-certificates.ts";

/**
 * `served` is PEM, the serving certificate first and then those between it and its authority, in any order. An authority in
 * `bundle` (PEM) has issued it or one of those that lead to it; or the certificate itself is in the bundle.
 */
export function chainsTo(served: string, bundle: string): boolean {
  const [leaf, ...between] = readBundle(served).values();
  const trusted = readBundle(bundle);
  if (leaf === undefined) return false;
  if (trusted.has(leaf.fingerprint256)) return true;
  const authorities = [...trusted.values()];
  const seen = new Set<X509Certificate>();
  let reached = [leaf];
  while (reached.length > 0) {
    if (reached.some((one) => authorities.some((authority) => isIssuedBy(one, authority)))) return true;
    for (const one of reached) seen.add(one);
    const current = reached;
    reached = between.filter((next) => !seen.has(next) && current.some((one) => isIssuedBy(one, next)));
  }
  return false;
}
