import type { KubeClient } from "../../../src/kube/client.ts";
import { createHttpsClient } from "../../../src/kube/https-client.ts";
import { kubeconfigConnection } from "../../../src/kube/kubeconfig.ts";
import { createRequestRate } from "../../../src/kube/request-rate.ts";
import type { Cluster } from "./cluster.ts";

/** Pullpass's own client for whom the kubeconfig is made, with a rate that no test reaches. */
export async function createTestKubeClient({ kubeconfig }: Pick<Cluster, "kubeconfig">): Promise<KubeClient> {
  const rate = createRequestRate({ perSecond: 1000, burst: 1000, concurrency: 50 });
  return createHttpsClient({ connection: await kubeconfigConnection(kubeconfig), rate });
}
