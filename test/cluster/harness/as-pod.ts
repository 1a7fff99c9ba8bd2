import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ReplicaOptions } from "./run-replica.ts";

export interface PodIdentity {
  readonly name: string;
  readonly namespace: string;
  /** Of its ServiceAccount. */
  readonly token: string;
  readonly authorityPem: string;
  /** The address of the Service `kubernetes`. */
  readonly apiServer: string;
}

// In a mount namespace of its own, so that the machine sees none of it; nothing forks, so that the process is the one
// that was started. /var/run is a link to /run.
const SCRIPT = 'mount --bind "$1" /run && shift && exec "$@"';

/** What makes a process find the API server as it would in a pod. Needs root. */
export async function asPod(
  /** Becomes its /run. */
  directory: string,
  pod: PodIdentity,
): Promise<Required<Pick<ReplicaOptions, "env" | "wrap">>> {
  const account = join(directory, "secrets", "kubernetes.io", "serviceaccount");
  await mkdir(account, { recursive: true });
  await writeFile(join(account, "token"), pod.token, { mode: 0o600 });
  await writeFile(join(account, "ca.crt"), pod.authorityPem);
  await writeFile(join(account, "namespace"), pod.namespace);
  return {
    env: {
      KUBERNETES_SERVICE_HOST: pod.apiServer,
      KUBERNETES_SERVICE_PORT: "443",
      POD_NAME: pod.name,
      POD_NAMESPACE: pod.namespace,
    },
    wrap: (command) => [
      ...["unshare", "--mount", "--propagation", "private"],
      ...["sh", "-c", SCRIPT, "as-pod", directory, ...command],
    ],
  };
}
