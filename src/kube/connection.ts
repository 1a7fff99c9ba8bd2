/** How the API server is reached: what the sources of that, a pod's service account and a kubeconfig, have in common. */
import type { Agent } from "node:http";
import type { SecureContextOptions } from "node:tls";
import { KubeUnreachableError } from "./client.ts";

/** Bound tokens are replaced in place by kubelet, and by exec plugins whenever they like. */
const MAX_ACCESS_AGE_MS = 10_000;

/** By what a request is let in. All of it is secret. */
export interface KubeAccess {
  /** As node:https takes them, per request. */
  readonly tls: Pick<SecureContextOptions, "ca" | "cert" | "key" | "pfx" | "passphrase"> & {
    readonly rejectUnauthorized?: boolean;
    readonly servername?: string;
  };
  readonly headers: Readonly<Record<string, string>>;
  /** Connects through a proxy, where there is one. It has the TLS options in it. */
  readonly proxy?: Agent;
}

export interface KubeConnection {
  /** May have a path, which comes before that of every request. */
  readonly server: URL;
  /** The namespace that we run in, or that the kubeconfig's context names. */
  readonly namespace: string | undefined;
  /** At most some seconds old. @throws KubeUnreachableError if it cannot be had. */
  access(): Promise<KubeAccess>;
  /** Read now: the API server did not take the last one. */
  renewAccess(): Promise<KubeAccess>;
}

/**
 * Reads again what is older than ten seconds, and once for all who ask meanwhile. What cannot be read again is used as
 * it was last: a file that kubelet is about to replace is no reason to stop.
 */
export function rereadAccess(
  read: () => Promise<KubeAccess>,
  maxAgeMs = MAX_ACCESS_AGE_MS,
): Pick<KubeConnection, "access" | "renewAccess"> {
  let last: { readonly access: KubeAccess; readonly readAt: number } | undefined;
  let reading: Promise<KubeAccess> | undefined;
  const readNow = async (): Promise<KubeAccess> => {
    try {
      const access = await read();
      last = { access, readAt: performance.now() };
      return access;
    } catch (error) {
      if (last !== undefined) return last.access;
      const reason = error instanceof Error ? error.message : "no reason given";
      throw new KubeUnreachableError(`there is nothing to authenticate by: ${reason}`, { cause: error });
    } finally {
      reading = undefined;
    }
  };
  const renewAccess = (): Promise<KubeAccess> => (reading ??= readNow());
  return {
    renewAccess,
    async access() {
      if (last !== undefined && performance.now() - last.readAt < maxAgeMs) return last.access;
      return renewAccess();
    },
  };
}
