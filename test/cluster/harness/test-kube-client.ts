import { kubeconfigConnection } from "../../../src/kube/connection.ts";
import { createTransport, type Transport } from "../../../src/kube/transport.ts";
import { createRequestRate } from "../../../src/kube/request-rate.ts";
import type { Cluster } from "./cluster.ts";

/** Pullpass's own client for whom the kubeconfig is made, with a rate that no test reaches. */
export async function createTestKubeClient({ kubeconfig }: Pick<Cluster, "kubeconfig">): Promise<Transport> {
  const rate = createRequestRate({ concurrency: 50 });
  return createTransport({ connection: kubeconfigConnection(kubeconfig), rate });
}
