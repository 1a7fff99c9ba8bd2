/** Finds out how the API server is reached. */
import { existsSync } from "node:fs";
import path from "node:path";
import type { Environment } from "../config/credentials.ts";
import {
  inClusterConnection,
  kubeconfigConnection,
  KubeconfigError,
  type KubeConnection,
} from "../kube/connection.ts";

/** Thrown where nothing says how the API server is reached, or what says so cannot be used. */
export class NoApiServerError extends Error {
  override readonly name = "NoApiServerError";
}

/*
 * The first row that holds decides.
 *
 * --kubeconfig | KUBERNETES_SERVICE_HOST | KUBECONFIG or ~/.kube/config | the API server is
 * given        |                         |                              | that of the file's current context
 * no           | set: this is a pod      |                              | the one of the pod's cluster
 * no           | no                      | there                        | the one that kubectl takes
 * no           | no                      | no                           | not known
 */
export function connect(kubeconfig: string | undefined, environment: Environment): KubeConnection {
  try {
    return find(kubeconfig, environment);
  } catch (error) {
    if (error instanceof KubeconfigError) throw new NoApiServerError(error.message, { cause: error });
    throw error;
  }
}

function find(kubeconfig: string | undefined, environment: Environment): KubeConnection {
  if (kubeconfig !== undefined) return kubeconfigConnection(kubeconfig);
  const { KUBERNETES_SERVICE_HOST: host = "", KUBECONFIG: list = "", HOME: home = "" } = environment;
  if (host !== "") return inClusterConnection(environment);
  if (list !== "" || existsSync(path.join(home, ".kube", "config"))) return kubeconfigConnection();
  throw new NoApiServerError(
    "this is not a pod, and there is no kubeconfig: say how the API server is reached with --kubeconfig, or serve without one with --standalone",
  );
}
