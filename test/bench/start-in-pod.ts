/** Runs `pullpass serve` as a pod has it: it finds the API server by its service account, not by a kubeconfig. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { writeKeyPair } from "../cluster/harness/certificates.ts";
import type { Cluster } from "../cluster/harness/cluster.ts";
import { API_SERVER_PORT } from "../cluster/harness/control-plane.ts";
import { runDaemon } from "../cluster/harness/run-daemon.ts";
import { sendRequest } from "../send-request.ts";
import { shippedEnvironment } from "./shipped-flags.ts";

const PROGRAM = path.join(import.meta.dirname, "../../dist/main.js");
const NAMESPACE = "pullpass";
const ADMIN_PORT = 8080;

export interface PodOptions {
  /** The program that runs it, and its own flags. */
  readonly node: readonly string[];
  readonly configFile: string;
  /** Further flags of `pullpass serve`. */
  readonly flags: readonly string[];
}

export interface RunningPod {
  readonly pid: number;
  /** Milliseconds from the start of the process until it wrote that line to its log; undefined if it has not yet. */
  readonly loggedAfterMs: (message: string) => Promise<number | undefined>;
  /** The sum of a metric over those of its labels' values that `labels` has. */
  readonly metric: (name: string, labels?: string) => Promise<number>;
  readonly stop: () => Promise<void>;
}

/** Makes the namespace, the account, and the directory that kubelet would mount. To be called once a cluster. */
export async function prepareServiceAccount({ kubectl, authority, network }: Cluster): Promise<void> {
  const metadata = { name: "pullpass", namespace: NAMESPACE };
  await kubectl.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  await kubectl.create({ apiVersion: "v1", kind: "ServiceAccount", metadata });
  await kubectl.create({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "pullpass" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: "ServiceAccount", ...metadata }],
  });
  const { stdout } = await kubectl.run(["create", "token", "pullpass", "-n", NAMESPACE, "--duration=24h"]);
  const directory = accountDirectory(network.directory);
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, "token"), stdout, { mode: 0o600 });
  await writeFile(path.join(directory, "ca.crt"), authority.pem);
  await writeFile(path.join(directory, "namespace"), NAMESPACE);
}

export async function startInPod(cluster: Cluster, options: PodOptions): Promise<RunningPod> {
  const { network } = cluster;
  const { directory } = network;
  const host = network.address(10);
  const adminUrl = `http://${host}:${ADMIN_PORT.toString()}`;
  const serving = await cluster.authority.issue({ commonName: "pullpass", hosts: [host] });
  const files = await writeKeyPair(directory, "serving", serving);
  // In a mount namespace of its own, where /run is its own, so that the directory can be where pods have it.
  const mount = 'mount -t tmpfs none /run && mkdir -p "$1" && mount --bind "$0" "$1" && shift && exec "$@"';
  const startedAt = Date.now();
  const daemon = await runDaemon({
    name: "pullpass",
    command: "unshare",
    args: [
      ...["--map-root-user", "--mount", "sh", "-c", mount, accountDirectory(directory)],
      ...["/run/secrets/kubernetes.io/serviceaccount", ...options.node, PROGRAM, "serve"],
      ...[`--config=${options.configFile}`, `--listen=${host}:8443`],
      ...[`--admin-listen=${host}:${ADMIN_PORT.toString()}`, "--shutdown-delay=0"],
      ...[`--tls-cert=${files.certificateFile}`, `--tls-key=${files.keyFile}`, ...options.flags],
    ],
    env: {
      ...shippedEnvironment(),
      KUBERNETES_SERVICE_HOST: network.address(3),
      KUBERNETES_SERVICE_PORT: API_SERVER_PORT.toString(),
      POD_NAMESPACE: NAMESPACE,
      NODE_OPTIONS: "",
    },
    logDirectory: path.join(directory, "log"),
    isReady: async () => (await sendRequest(`${adminUrl}/readyz`)).status === 200,
    readyTimeoutMs: 300_000,
  });
  return {
    pid: daemon.pid,
    async loggedAfterMs(message) {
      // Others are V8's, which some of Node's flags make it write.
      const isEntry = (line: string): boolean => line.startsWith("{") && line.endsWith("}");
      const lines = (await readFile(daemon.logFile, "utf8")).split("\n").filter(isEntry);
      const entries = lines.map((line) => JSON.parse(line) as { msg: string; time: number | string });
      const times = entries.filter(({ msg }) => msg === message).map(({ time }) => new Date(time).getTime());
      const time = times.find((each) => each >= startedAt);
      return time === undefined ? undefined : time - startedAt;
    },
    async metric(name, labels = "") {
      const { body } = await sendRequest(`${adminUrl}/metrics`);
      const lines = body.split("\n").filter((line) => line.startsWith(name) && line.includes(labels));
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
    },
    stop: () => daemon.stop(),
  };
}

function accountDirectory(directory: string): string {
  return path.join(directory, "service-account");
}
