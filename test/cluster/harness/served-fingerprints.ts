import { once } from "node:events";
import { connect } from "node:tls";
import { PULLPASS_NAMESPACE } from "./install-pullpass.ts";
import type { Kubectl } from "./kubectl.ts";
import type { PodList } from "./pods.ts";

/** What each replica of the chart serves now. The test has to be in the network of pods. */
export async function servedFingerprints(kubectl: Kubectl): Promise<readonly string[]> {
  const { items } = await kubectl.json<PodList>(
    ...["get", "pods", `--namespace=${PULLPASS_NAMESPACE}`, "--selector=app.kubernetes.io/component=webhook"],
  );
  return Promise.all(items.map(({ status }) => servedAt(status?.podIP ?? "")));
}

async function servedAt(host: string): Promise<string> {
  // Whom it is trusted by is not asked here.
  const socket = connect({ host, port: 8443, rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerX509Certificate()?.fingerprint256 ?? "";
  } finally {
    socket.destroy();
  }
}
