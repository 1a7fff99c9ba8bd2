/**
 * How the API server is reached and how requests are authenticated, by client-node's KubeConfig: a pod's service account,
 * certificates, tokens, exec plugins, OIDC and proxies.
 */
import { readFileSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { isIPv6 } from "node:net";
import path from "node:path";
import type { SecureContextOptions } from "node:tls";
import { KubeConfig, RequestContext, type Cluster } from "@kubernetes/client-node";
import type { Dispatcher } from "undici";
import { KubeUnreachableError } from "./errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What authenticates a request. All of it is secret. */
export interface KubeAccess {
  readonly tls: Pick<SecureContextOptions, "ca" | "cert" | "key" | "pfx" | "passphrase"> & {
    readonly rejectUnauthorized?: boolean;
    readonly servername?: string;
  };
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Makes what connects through the kubeconfig's proxy, where it names one, with these TLS options; for nobody, with those alone that are
   * about the server.
   */
  readonly proxied?: (as?: "nobody") => Promise<Dispatcher>;
}

export interface KubeConnection {
  /** May have a path, which comes before that of every request. */
  readonly server: URL;
  /** The namespace that we run in, or that the kubeconfig's context names. */
  readonly namespace: string | undefined;
  /** The kubeconfig's name for the cluster. */
  readonly clusterName?: string | undefined;
  /** At most ten seconds old. @throws KubeUnreachableError if there is nothing to authenticate with. */
  access(): Promise<KubeAccess>;
  /** Read now: the API server did not accept the last one. */
  renewAccess(): Promise<KubeAccess>;
}

/** The kubeconfig, or the pod's service account, cannot be used. */
export class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
}

/**
 * By a context of a kubeconfig, the current one by default; without a file, of the one that kubectl would use.
 *
 * @throws KubeconfigError if the file cannot be read, or the context names no cluster or user.
 */
export function kubeconfigConnection(file?: string, context?: string): KubeConnection {
  return connectionOf(file ?? "the default kubeconfig", (config) => {
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
    if (context !== undefined) config.setCurrentContext(context);
  });
}

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
const SERVICE_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * By the pod's service account. Not by KubeConfig's `loadFromCluster`, which speaks plain HTTP to some ports.
 *
 * @throws KubeconfigError without KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in the environment.
 */
export function inClusterConnection(
  environment: Environment,
  directory = SERVICE_ACCOUNT_DIRECTORY,
): KubeConnection {
  const server = inClusterServer(environment);
  const file = (name: string): string => path.join(directory, name);
  const connection = connectionOf("the pod's service account", (config) => {
    config.loadFromClusterAndUser(
      {
        name: "in-cluster",
        server: server.origin,
        caFile: file("ca.crt"),
        skipTLSVerify: false,
      },
      { name: "service-account", authProvider: { name: "tokenFile", config: { tokenFile: file("token") } } },
    );
  });
  return { ...connection, namespace: podNamespace(directory) };
}

/** The namespace of the pod that we run in; undefined outside of pods, and in pods without a service account's files. */
export function podNamespace(directory = SERVICE_ACCOUNT_DIRECTORY): string | undefined {
  return readIfThere(path.join(directory, "namespace"));
}

function inClusterServer({
  KUBERNETES_SERVICE_HOST: host = "",
  KUBERNETES_SERVICE_PORT: port = "",
}: Environment): URL {
  if (host === "" || port === "") {
    throw new KubeconfigError(
      "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is not a pod",
    );
  }
  return new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
}

/** The same API server for another person, by their token: nothing of what authenticates `base` is sent. */
export function connectionWithToken(base: KubeConnection, token: string): KubeConnection {
  const access = async (): Promise<KubeAccess> => {
    const { tls: whole, proxied } = await base.access();
    const { ca, rejectUnauthorized, servername } = whole;
    const tls = { ca, rejectUnauthorized, servername };
    return {
      tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
      headers: { authorization: `Bearer ${token}` },
      ...(proxied !== undefined && { proxied: () => proxied("nobody") }),
    };
  };
  return { ...base, access, renewAccess: access };
}

/**
 * The API server of the cluster that this pod is in, without anything that authenticates the pod: its ServiceAccount has no rights, and
 * no token is mounted.
 */
export function anonymousInClusterConnection(
  environment: Environment,
  directory = SERVICE_ACCOUNT_DIRECTORY,
): KubeConnection {
  const access = async (): Promise<KubeAccess> => {
    const ca = readIfThere(path.join(directory, "ca.crt"));
    if (ca === undefined) throw new KubeconfigError(`${path.join(directory, "ca.crt")} cannot be read`);
    return Promise.resolve({ tls: { ca }, headers: {} });
  };
  return {
    server: inClusterServer(environment),
    namespace: podNamespace(directory),
    access,
    renewAccess: access,
  };
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

function connectionOf(what: string, load: (config: KubeConfig) => void): KubeConnection {
  let config = loadOrExplain(what, load);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new KubeconfigError(`${what} has no cluster for its current context`);
  if (config.getCurrentUser() === null)
    throw new KubeconfigError(`${what} has no user for its current context`);
  if (!URL.canParse(cluster.server)) throw new KubeconfigError(`${what} names a server that is not a URL`);
  const reread = rereadAccess(() => readAccess(config));
  return {
    server: new URL(cluster.server),
    clusterName: cluster.name,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    access: reread.access,
    renewAccess() {
      // A new one has none of the tokens that the old one remembers.
      config = loadOrExplain(what, load);
      return reread.renewAccess();
    },
  };
}

function loadOrExplain(what: string, load: (config: KubeConfig) => void): KubeConfig {
  const config = new KubeConfig();
  try {
    load(config);
    return config;
  } catch (error) {
    // Only the system's errors are passed on: those of a YAML parser quote the file, and with it keys and tokens.
    const code = error instanceof Error && "code" in error ? String(error.code) : "it is not a kubeconfig";
    throw new KubeconfigError(`${what} cannot be used: ${code}`);
  }
}

async function readAccess(config: KubeConfig): Promise<KubeAccess> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername, auth } = options;
  const headers = Object.entries(options.headers ?? {}).flatMap(([name, value]) =>
    typeof value === "string" ? [[name.toLowerCase(), value.trim()] as const] : [],
  );
  const tls = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
  const cluster = config.getCurrentCluster();
  return {
    tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
    headers: {
      ...Object.fromEntries(headers),
      ...(typeof auth === "string" && { authorization: `Basic ${Buffer.from(auth).toString("base64")}` }),
    },
    ...(cluster?.proxyUrl !== undefined && {
      proxied: (as) => connectThroughProxy(as === "nobody" ? withoutUser(cluster) : config, cluster.server),
    }),
  };
}

function withoutUser(cluster: Cluster): KubeConfig {
  const config = new KubeConfig();
  config.loadFromClusterAndUser(cluster, { name: "nobody" });
  return config;
}

/** client-node makes a new one each time. */
async function connectThroughProxy(config: KubeConfig, server: string): Promise<Dispatcher> {
  const context = new RequestContext(server, "GET");
  await config.applySecurityAuthentication(context);
  const dispatcher = context.getDispatcher();
  if (dispatcher === undefined) throw new KubeconfigError("client-node knows no way through the proxy");
  return dispatcher;
}

/** A parser quotes what an exec plugin printed, and with it a token. */
function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError || error instanceof TypeError) {
    return "what the exec plugin printed is not an ExecCredential";
  }
  return error instanceof Error ? error.message : "no reason given";
}

/** Bound tokens are replaced in place by kubelet, and by exec plugins whenever they like. */
const MAX_ACCESS_AGE_MS = 10_000;

/**
 * Reads what is older than ten seconds again, once for all who ask meanwhile. What cannot be read again is used as it was
 * last: a file that kubelet is about to replace is no reason to stop.
 */
export function rereadAccess(
  read: () => Promise<KubeAccess>,
  maxAgeMs = MAX_ACCESS_AGE_MS,
): Pick<KubeConnection, "access" | "renewAccess"> {
  let last: { readonly access: KubeAccess; readonly readAt: number } | undefined;
  let reading: Promise<KubeAccess> | undefined;
  const readNow = async (): Promise<KubeAccess> => {
    try {
      const access = await read();
      last = { access, readAt: performance.now() };
      return access;
    } catch (error) {
      if (last !== undefined) return last.access;
      throw new KubeUnreachableError(`there is nothing to authenticate with: ${reasonOf(error)}`);
    } finally {
      reading = undefined;
    }
  };
  const renewAccess = (): Promise<KubeAccess> => (reading ??= readNow());
  return {
    renewAccess,
    async access() {
      if (last !== undefined && performance.now() - last.readAt < maxAgeMs) return last.access;
      return renewAccess();
    },
  };
}
