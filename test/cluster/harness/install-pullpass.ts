import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeKeyPair, writeKubeconfig, type KeyPairFiles } from "./certificates.ts";
import { rightsOf } from "./chart.ts";
import type { Cluster } from "./cluster.ts";
import { createNamespace } from "./kubectl.ts";
import { runReplica, type Replica, type ReplicaOptions } from "./run-replica.ts";

export interface PodIdentity {
  readonly name: string;
  readonly namespace: string;
  /** Of its ServiceAccount. */
  readonly token: string;
  readonly authorityPem: string;
  /** The address of the Service `kubernetes`. */
  readonly apiServer: string;
}

// In a mount namespace of its own, so that the machine sees none of it; nothing forks, so that the process is the one
// that was started. /var/run is a link to /run.
const SCRIPT = 'mount --bind "$1" /run && shift && exec "$@"';

/** What makes a process find the API server as it would in a pod. Needs root. */
export async function asPod(
  /** Becomes its /run. */
  directory: string,
  pod: PodIdentity,
): Promise<Required<Pick<ReplicaOptions, "env" | "wrap">>> {
  const account = join(directory, "secrets", "kubernetes.io", "serviceaccount");
  await mkdir(account, { recursive: true });
  await writeFile(join(account, "token"), pod.token, { mode: 0o600 });
  await writeFile(join(account, "ca.crt"), pod.authorityPem);
  await writeFile(join(account, "namespace"), pod.namespace);
  return {
    env: {
      KUBERNETES_SERVICE_HOST: pod.apiServer,
      KUBERNETES_SERVICE_PORT: "443",
      POD_NAME: pod.name,
      POD_NAMESPACE: pod.namespace,
    },
    wrap: (command) => [
      ...["unshare", "--mount", "--propagation", "private"],
      ...["sh", "-c", SCRIPT, "as-pod", directory, ...command],
    ],
  };
}

/** Where it is installed. */
export const PULLPASS_NAMESPACE = "pullpass";

/** Pullpass in a cluster, with the rights that the chart gives it and no others. */
export interface Installation {
  /** Holds the configuration, and what it names by relative paths. */
  readonly directory: string;
  readonly configFile: string;
  /** The kubeconfig of Pullpass's ServiceAccount. */
  readonly kubeconfig: string;
  /** Writes the configuration, by a rename as editors do. Whoever runs takes it over. */
  configure(configuration: object): Promise<void>;
  /** Writes a kubeconfig of the same ServiceAccount for another way to the API server. */
  kubeconfigFor(name: string, server: string): Promise<string>;
  /** Starts one more replica, at an address of its own. */
  startReplica(options?: InstalledReplicaOptions): Promise<Replica>;
}

export interface InstalledReplicaOptions extends Partial<ReplicaOptions> {
  /** For another way to the API server. */
  readonly kubeconfig?: string;
  /** Joins no cluster. */
  readonly isStandalone?: boolean;
  /** Finds the API server as a pod does, where there is a Service for it: on a cluster with a node. */
  readonly isPod?: boolean;
  /** Default: one for its address. */
  readonly certificate?: KeyPairFiles | "self-managed";
}

/** Replicas listen at the addresses of the cluster's network from here on. */
const FIRST_ADDRESS = 20;

/** Creates the namespace, gives Pullpass the rights in those manifests (default: all), and writes the configuration. */
export async function installPullpass(
  cluster: Cluster,
  configuration: object,
  ...manifests: readonly string[]
): Promise<Installation> {
  const { kubectl, authority, network, server } = cluster;
  const directory = join(network.directory, "pullpass");
  await mkdir(directory, { recursive: true });
  await createNamespace(kubectl, PULLPASS_NAMESPACE);
  await kubectl.apply(...(await rightsOf(...manifests)));
  const namespaceFlag = `--namespace=${PULLPASS_NAMESPACE}`;
  const { stdout: token } = await kubectl.run(["create", "token", "pullpass", namespaceFlag]);

  const kubeconfigFor = async (name: string, to: string) => {
    const file = join(directory, `${name}.kubeconfig`);
    const client = { token: token.trim() };
    await writeKubeconfig(file, { server: to, authorityPem: authority.pem, client });
    return file;
  };
  const kubeconfig = await kubeconfigFor("direct", server);
  const configFile = join(directory, "pullpass.yaml");
  const configure = async (next: object) => {
    // JSON is YAML.
    await writeFile(`${configFile}.new`, JSON.stringify(next));
    await rename(`${configFile}.new`, configFile);
  };
  await configure(configuration);

  let started = 0;
  return {
    directory,
    configFile,
    kubeconfig,
    configure,
    kubeconfigFor,
    async startReplica({ isStandalone = false, isPod = false, ...options } = {}) {
      const number = String(++started);
      const { name = `pullpass-${number}`, host = network.address(FIRST_ADDRESS + started) } = options;
      const issue = async () => {
        const serving = await authority.issue({ commonName: name, hosts: [host] });
        return writeKeyPair(directory, name, serving);
      };
      const { certificate = await issue() } = options;
      const pod = isPod
        ? await asPod(join(directory, `pod-${name}`), {
            name,
            namespace: PULLPASS_NAMESPACE,
            token: token.trim(),
            authorityPem: authority.pem,
            apiServer: network.address(129),
          })
        : {};
      const joining = isPod ? [] : [`--kubeconfig=${options.kubeconfig ?? kubeconfig}`, namespaceFlag];
      return runReplica(cluster, {
        ...options,
        ...pod,
        name,
        host,
        flags: [
          `--config=${configFile}`,
          ...(certificate === "self-managed"
            ? []
            : [`--tls-cert=${certificate.certificateFile}`, `--tls-key=${certificate.keyFile}`]),
          ...(isStandalone ? ["--standalone"] : joining),
          // Tests end soon.
          "--shutdown-delay=0",
          ...(options.flags ?? []),
        ],
      });
    },
  };
}
