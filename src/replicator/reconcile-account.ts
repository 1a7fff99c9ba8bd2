/** Brings the pull secrets of one ServiceAccount in order. */
import { planAttachment } from "../core/attachment.ts";
import type { Lane, ServiceAccountClient } from "./ports.ts";

/** What was done, or that somebody else was faster and the account has to be read again. */
export type AccountResult =
  | { readonly kind: "patched"; readonly version: number }
  | { readonly kind: "unchanged" | "conflict" | "gone" | "not-leading" };

/**
 * Reads the account each time: its list is replaced as a whole by every writer (it is atomic), and the watch shows only
 * metadata.
 */
export async function reconcileAccount(
  client: ServiceAccountClient,
  account: { readonly namespace: string; readonly name: string },
  wantedSecrets: readonly string[],
  lane: Lane,
): Promise<AccountResult> {
  const { namespace, name } = account;
  const current = await client.read(namespace, name, lane);
  if (current === undefined) return { kind: "gone" };
  const operations = planAttachment(current, wantedSecrets);
  if (operations.length === 0) return { kind: "unchanged" };
  const result = await client.patch(namespace, name, operations, lane);
  return result.kind === "patched"
    ? { kind: "patched", version: Number(result.resourceVersion) }
    : { kind: result.kind };
}
