import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { inClusterConnection, kubeconfigConnection } from "../../../src/kube/connection.ts";
import { Transport, type TransportOptions } from "../../../src/kube/transport.ts";
import { RequestRate } from "../../../src/kube/request-rate.ts";
import type { Cluster } from "./cluster.ts";

/** Pullpass's own client for whom the kubeconfig is made, with a rate that no test reaches. */
export function createTestKubeClient({ kubeconfig }: Pick<Cluster, "kubeconfig">): Transport {
  const rate = new RequestRate({ concurrency: 50 });
  return new Transport({ connection: kubeconfigConnection(kubeconfig), rate });
}

/** The directory that kubelet would give a pod, made by hand, with the token of an account that may do everything. */
export interface MountedServiceAccount {
  readonly directory: string;
  /** A token that the API server takes. */
  readonly token: string;
  writeToken(token: string): Promise<void>;
  /** Reaches the API server as a pod does; at another address where one is given. */
  client(address?: string, options?: Partial<TransportOptions>): Transport;
}

export async function mountServiceAccount(cluster: Cluster): Promise<MountedServiceAccount> {
  const { kubectl, authority, network, server } = cluster;
  await kubectl.run([
    "create",
    "clusterrolebinding",
    "kube-test",
    "--clusterrole=cluster-admin",
    "--serviceaccount=default:default",
  ]);
  const { stdout } = await kubectl.run(["create", "token", "default", "--duration=10m"]);
  const token = stdout.trim();
  const directory = path.join(network.directory, "mounted-service-account");
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, "ca.crt"), authority.pem);
  await writeFile(path.join(directory, "namespace"), "default");
  // In one step, as kubelet does: client-node remembers an empty token for a minute, and sends none.
  const writeToken = async (text: string) => {
    const file = path.join(directory, "token");
    await writeFile(`${file}.new`, text, { mode: 0o600 });
    await rename(`${file}.new`, file);
  };
  await writeToken(token);
  const { hostname, port } = new URL(server);
  return {
    directory,
    token,
    writeToken,
    client(address = hostname, options = {}) {
      const environment = { KUBERNETES_SERVICE_HOST: address, KUBERNETES_SERVICE_PORT: port };
      const connection = inClusterConnection(environment, directory);
      return new Transport({ connection, rate: new RequestRate({ concurrency: 20 }), ...options });
    },
  };
}
