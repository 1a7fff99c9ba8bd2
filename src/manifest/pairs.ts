/** The pairs of a mapping, as kubectl reads them. */
import { isPair, isScalar, type Pair } from "yaml";

/** The key that merges other mappings into its own. */
export const MERGE_KEY = "<<";

/** The library reads the merge key as a symbol. */
export function keyName(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined;
  return typeof key.value === "symbol" ? MERGE_KEY : String(key.value);
}

/** The pair that counts for a key: the last one. */
export function pairOf({ items }: { readonly items: readonly unknown[] }, name: string): Pair | undefined {
  return items.findLast((pair): pair is Pair => isPair(pair) && keyName(pair.key) === name);
}
