/** The API server as a kubeconfig describes it, for a machine outside of the cluster. */
import type { RequestOptions } from "node:https";
import type { Agent } from "node:http";
import type { KubeConfig } from "@kubernetes/client-node";
import { rereadAccess, type KubeAccess, type KubeConnection } from "./connection.ts";

/** The kubeconfig says nothing that could be used. */
export class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
}

/**
 * Reaches the API server by the current context of a kubeconfig; without a file, of the one that kubectl would take.
 * Certificates, tokens, exec plugins and proxies are the Kubernetes client library's, which is loaded only here.
 *
 * @throws KubeconfigError if the file cannot be read or its current context leads nowhere.
 */
export async function kubeconfigConnection(file?: string): Promise<KubeConnection> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const load = (): KubeConfig => {
    const config = new KubeConfig();
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
    return config;
  };
  let config = loadOrExplain(load, file);
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new KubeconfigError(`${nameOf(file)} has no cluster for its current context`);
  }
  if (config.getCurrentUser() === null) {
    throw new KubeconfigError(`${nameOf(file)} has no user for its current context`);
  }
  const reread = rereadAccess(() => accessBy(config));
  return {
    server: serverOf(cluster.server, file),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    access: reread.access,
    renewAccess() {
      // A new one has none of the tokens that the old one remembers.
      config = loadOrExplain(load, file);
      return reread.renewAccess();
    },
  };
}

function loadOrExplain(load: () => KubeConfig, file: string | undefined): KubeConfig {
  try {
    return load();
  } catch (error) {
    // Only the system's errors are passed on: those of a YAML parser quote the file, and with it keys and tokens.
    const code = error instanceof Error && "code" in error ? String(error.code) : "it is no kubeconfig";
    throw new KubeconfigError(`${nameOf(file)} cannot be used: ${code}`);
  }
}

function nameOf(file: string | undefined): string {
  return file ?? "the default kubeconfig";
}

function serverOf(server: string, file: string | undefined): URL {
  if (!URL.canParse(server)) throw new KubeconfigError(`${nameOf(file)} names a server that is no URL`);
  return new URL(server);
}

async function accessBy(config: KubeConfig): Promise<KubeAccess> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername, auth } = options;
  const headers = Object.entries(options.headers ?? {}).flatMap(([name, value]) =>
    typeof value === "string" ? [[name.toLowerCase(), value] as const] : [],
  );
  const tls = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
  return {
    tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
    headers: {
      ...Object.fromEntries(headers),
      ...(typeof auth === "string" && {
        authorization: `Basic ${Buffer.from(auth).toString("base64")}`,
      }),
    },
    ...(config.getCurrentCluster()?.proxyUrl !== undefined && { proxy: options.agent as Agent }),
  };
}
