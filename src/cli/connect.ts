/** How a command reaches the API server, and which namespace Pullpass runs in. */
import { existsSync } from "node:fs";
import path from "node:path";
import type { Environment } from "../config/credentials.ts";
import {
  inClusterConnection,
  kubeconfigConnection,
  KubeconfigError,
  podNamespace,
  type KubeConnection,
} from "../kube/connection.ts";
import { RequestRate } from "../kube/request-rate.ts";
import { Transport } from "../kube/transport.ts";
import { NoApiServerError } from "./program-io.ts";

/*
 * The first row that holds decides.
 *
 * --kubeconfig | KUBERNETES_SERVICE_HOST | KUBECONFIG or ~/.kube/config | the API server is
 * given        |                         |                              | that of the file's current context
 * no           | set: this is a pod      |                              | the one of the pod's cluster
 * no           | no                      | there                        | the one that kubectl uses
 * no           | no                      | no                           | not known
 */
export function connect(
  kubeconfig: string | undefined,
  environment: Environment,
  context?: string,
): KubeConnection {
  try {
    return find(kubeconfig, environment, context);
  } catch (error) {
    if (!(error instanceof KubeconfigError)) throw error;
    throw new NoApiServerError(error.message, { cause: error });
  }
}

function find(
  kubeconfig: string | undefined,
  environment: Environment,
  context: string | undefined,
): KubeConnection {
  if (kubeconfig !== undefined) return kubeconfigConnection(kubeconfig, context);
  const { KUBERNETES_SERVICE_HOST: host = "", KUBECONFIG: list = "", HOME: home = "" } = environment;
  if (host !== "") return inClusterConnection(environment);
  if (list !== "" || existsSync(path.join(home, ".kube", "config")))
    return kubeconfigConnection(undefined, context);
  throw new NoApiServerError(
    "this is not a pod, and there is no kubeconfig: say how the API server is reached with --kubeconfig, or serve without one with --standalone",
  );
}

/** A person or a Job waits for a few objects. */
const RATE = { concurrency: 8 };

/** Connects for as long as `use` takes. @throws NoApiServerError */
export async function withTransport<T>(
  kubeconfig: string | undefined,
  environment: Environment,
  use: (transport: Transport, connection: KubeConnection) => Promise<T>,
): Promise<T> {
  const connection = connect(kubeconfig, environment);
  const transport = new Transport({ connection, rate: new RequestRate(RATE) });
  try {
    return await use(transport, connection);
  } finally {
    transport.close();
  }
}

/** The namespace of Pullpass's Lease, its certificate, and Secrets that are named without a namespace. */
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
 * --namespace | POD_NAMESPACE | --kubeconfig given, or not a pod | the namespace
 * given       |               |                                  | that one
 * no          | set           |                                  | that one
 * no          | no            | no                               | that of the pod's ServiceAccount
 * no          | no            | yes                              | pullpass
 *
 * Commands that may have no API server to connect to leave `connection` out.
 */
export function ownNamespace(
  flags: { readonly namespace?: string | undefined; readonly kubeconfig?: string | undefined },
  environment: Environment,
  connection: Pick<KubeConnection, "namespace"> = { namespace: podNamespace() },
): OwnNamespace {
  const { POD_NAMESPACE = "", KUBERNETES_SERVICE_HOST = "" } = environment;
  if (flags.namespace !== undefined) return { name: flags.namespace, from: "--namespace" };
  if (POD_NAMESPACE !== "") return { name: POD_NAMESPACE, from: "POD_NAMESPACE" };
  const isPod = flags.kubeconfig === undefined && KUBERNETES_SERVICE_HOST !== "";
  if (isPod && connection.namespace !== undefined)
    return { name: connection.namespace, from: "the pod's ServiceAccount" };
  return { name: DEFAULT_NAMESPACE, from: "the default, since there is no --namespace" };
}
