/** The API server as a pod finds it: two environment variables, and files that kubelet keeps current. */
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import path from "node:path";
import { rereadAccess, type KubeConnection } from "./connection.ts";

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
const SERVICE_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Nothing says that this is a pod. */
export class NotInClusterError extends Error {
  override readonly name = "NotInClusterError";
}

/**
 * Reaches the API server by the pod's service account. The host is the address of a Service, for which the API server's
 * certificate holds an IP address; there is no proxy on that way.
 *
 * @throws NotInClusterError without KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in the environment.
 */
export async function inClusterConnection(
  environment: Environment,
  directory = SERVICE_ACCOUNT_DIRECTORY,
): Promise<KubeConnection> {
  const { KUBERNETES_SERVICE_HOST: host = "", KUBERNETES_SERVICE_PORT: port = "" } = environment;
  if (host === "" || port === "") {
    throw new NotInClusterError(
      "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod",
    );
  }
  const read = (name: string) => readFile(path.join(directory, name), "utf8");
  return {
    server: new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`),
    namespace: await read("namespace").then(
      (text) => text.trim() || undefined,
      () => undefined,
    ),
    ...rereadAccess(async () => {
      const [token, ca] = await Promise.all([read("token"), read("ca.crt")]);
      return { tls: { ca }, headers: { authorization: `Bearer ${token.trim()}` } };
    }),
  };
}
