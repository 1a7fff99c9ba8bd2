/** What reviews and probes are answered from, while `serve` starts and afterwards. */
import type { AdmissionPorts } from "../admission/ports.ts";
import { indexConfiguration, type Configuration } from "../config/configuration.ts";
import type { RegistryIndex } from "../core/registry.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";

/** Without a cluster, or before it is reached, nothing is known of namespaces and accounts. */
export const STANDALONE: ClusterRuntime = {
  ports: {
    namespace: () => ({ isOptedIn: true, labels: "unknown" }),
    buildSecret: () => undefined,
    serviceAccount: () => undefined,
  },
  certificates: undefined,
  unreadyReasons: () => [],
  known: Promise.resolve(),
  setConfiguration: () => undefined,
  handOver: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};

export class ServingState {
  readonly ports: AdmissionPorts = {
    registries: () => this.#registries,
    namespace: (name) => this.#cluster.ports.namespace(name),
    buildSecret: (namespace) => this.#cluster.ports.buildSecret(namespace),
    serviceAccount: (namespace, name) => this.#cluster.ports.serviceAccount(namespace, name),
  };
  readonly #isReplicated: boolean;
  readonly #stopped: AbortSignal;
  #registries: RegistryIndex;
  #cluster = STANDALONE;
  /** What the start waits for. */
  #waitingFor: string | undefined = "starting";

  constructor(configuration: Configuration, isReplicated: boolean, stopped: AbortSignal) {
    this.#isReplicated = isReplicated;
    this.#stopped = stopped;
    this.#registries = indexConfiguration(configuration, isReplicated);
  }

  setRegistries(configuration: Configuration): void {
    this.#registries = indexConfiguration(configuration, this.#isReplicated);
  }

  waitFor(reason: string): void {
    this.#waitingFor = reason;
  }

  /** From now on the cluster says why this replica is not ready. */
  setCluster(cluster: ClusterRuntime): void {
    this.#cluster = cluster;
    this.#waitingFor = undefined;
  }

  unreadyReasons(): readonly string[] {
    if (this.#stopped.aborted) return ["shutting down"];
    return this.#waitingFor === undefined ? this.#cluster.unreadyReasons() : [this.#waitingFor];
  }
}
