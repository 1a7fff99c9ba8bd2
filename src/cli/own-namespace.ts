/** The namespace that Pullpass runs in: its Lease, its certificate, and Secrets that are named without a namespace. */
import type { Environment } from "../config/credentials.ts";
import type { KubeConnection } from "../kube/connection.ts";

export interface OwnNamespace {
  readonly name: string;
  /** Where the name comes from, for people. */
  readonly from: string;
}

/** Where the chart and deploy/install.yaml put Pullpass. */
const DEFAULT_NAMESPACE = "pullpass";

/*
 * The first row that holds decides. A kubeconfig's context names the namespace that a person works in, often `default`,
 * and says nothing about Pullpass.
 *
 * --namespace | POD_NAMESPACE | --kubeconfig given, or no pod | the namespace
 * given       |               |                               | that one
 * no          | set           |                               | that one
 * no          | no            | no                            | that of the pod's ServiceAccount
 * no          | no            | yes                           | pullpass
 */
export function ownNamespace(
  flags: { readonly namespace?: string | undefined; readonly kubeconfig?: string | undefined },
  environment: Environment,
  connection: Pick<KubeConnection, "namespace">,
): OwnNamespace {
  const { POD_NAMESPACE = "", KUBERNETES_SERVICE_HOST = "" } = environment;
  if (flags.namespace !== undefined) return { name: flags.namespace, from: "--namespace" };
  if (POD_NAMESPACE !== "") return { name: POD_NAMESPACE, from: "POD_NAMESPACE" };
  const isPod = flags.kubeconfig === undefined && KUBERNETES_SERVICE_HOST !== "";
  if (isPod && connection.namespace !== undefined)
    return { name: connection.namespace, from: "the pod's ServiceAccount" };
  return { name: DEFAULT_NAMESPACE, from: "the default, since there is no --namespace" };
}
