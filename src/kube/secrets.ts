/** Reads one Secret by its name. */
import type { JsonObject } from "../core/kubernetes.ts";
import type { Lane } from "../replicator/ports.ts";
import { hasStatus } from "./refusals.ts";
import type { KubeClient } from "./client.ts";

export function secretsPath(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/secrets`;
}

export function secretPath(namespace: string, name: string): string {
  return `${secretsPath(namespace)}/${name}`;
}

/**
 * The Secret as the API server holds it now, credentials and all; undefined if there is none.
 *
 * @throws KubeApiError for every other refusal, KubeUnreachableError
 */
export async function getSecret(
  client: Pick<KubeClient, "request">,
  namespace: string,
  name: string,
  lane: Lane,
): Promise<JsonObject | undefined> {
  try {
    return await client.request({ method: "GET", path: secretPath(namespace, name), lane });
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}
