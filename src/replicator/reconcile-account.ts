/** Brings the pull secrets of one ServiceAccount in order. */
import { planAttachment } from "../core/attachment.ts";
import type { Priority, ServiceAccountClient } from "./ports.ts";

/** What was done; `conflict`: somebody else was faster, and the account has to be read again. */
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
  priority: Priority,
): Promise<AccountResult> {
  const { namespace, name } = account;
  const current = await client.read(namespace, name, priority);
  if (current === undefined) return { kind: "gone" };
  const operations = planAttachment(current, wantedSecrets);
  if (operations.length === 0) return { kind: "unchanged" };
  return client.patch(namespace, name, operations, priority);
}
