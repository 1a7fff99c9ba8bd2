/** What `serve` does with a cluster: what the webhook knows of it, and the replicator, on one transport and a few informers. */
import type { AdmissionPorts } from "../admission/ports.ts";
import type { Configuration } from "../config/configuration.ts";
import type { Environment } from "../config/credentials.ts";
import { HEAL_LABEL } from "../core/labels.ts";
import { BUILD_SECRET_NAME, type Source } from "../core/replication.ts";
import type { Replicator } from "../replicator/controller.ts";
import {
  watchCluster,
  type ClusterOptions,
  type ClusterTelemetry,
  type WatchedCluster,
} from "./cluster-access.ts";
import type { ClusterCertificateOptions, ClusterCertificates } from "./cluster-certificates.ts";
import { connectRegistries, watchSecretWith, type ClusterRegistries } from "./cluster-registries.ts";
import { firstExpiry } from "./credential-sources.ts";
import type { FaultReport } from "./fault-report.ts";
import { Healer } from "./heal.ts";
import { connectInjector } from "./injector.ts";
import type { RegistryList } from "./registry-list.ts";
import { Leadership } from "./leadership.ts";
import { connectReplicator, type Replication } from "./replication.ts";
import { StuckPods } from "./stuck-pods.ts";

export interface ClusterRuntime {
  readonly ports: Pick<AdmissionPorts, "namespace" | "buildSecret" | "serviceAccount">;
  /** Those of which the cluster says more than their source does, if there are such. */
  readonly certificates: ClusterCertificates | undefined;
  /** Why reviews should not come here yet; none once everything is known. */
  unreadyReasons(): readonly string[];
  /** Resolves once there is none. */
  readonly known: Promise<unknown>;
  /** Its registries are joined with those of the cluster, and given to `onRegistries`. */
  setConfiguration(configuration: Configuration): void;
  /** Finishes the last writes and lets another replica lead. What the webhook knows is kept up to date. */
  handOver(): Promise<void>;
  /** Hands over, and stops. */
  stop(): Promise<void>;
}

/** Starts at once and goes on by itself; an API server that does not answer is waited for. */
export function connectCluster(
  options: ClusterOptions,
  environment: Environment,
  telemetry: ClusterTelemetry,
  onRegistries: (configuration: Configuration) => void,
  tls?: ClusterCertificateOptions,
): ClusterRuntime {
  const stack = new AsyncDisposableStack();
  const watched = watchCluster(options, telemetry, stack);
  const { access, events, informers, known, optIns } = watched;
  const onChange = (): void => void events.emit("change");
  const replicated = { access, known, optIns, onWrite: onChange };
  const replication = stack.adopt(connectReplicator(options, telemetry, replicated), close);
  const { replicator, serviceAccount } = replication;
  const watchSecret = watchSecretWith(informers);
  const parts = { environment, access, events, informers, watchSecret, replicator };
  const cluster = stack.adopt(connectRegistries(options, telemetry, parts), close);
  const { registries, provided, status, faults } = cluster;
  events.on("registries", onRegistries);
  const injector = stack.adopt(connectInjector(watched, registries, watchSecret, tls), close);
  const { certificates, unreadyReasons } = injector;
  const stuckPods = connectStuckPods(watched, replication, registries);
  known.namespaces.subscribe(onChange);
  known.copies.subscribe(onChange);
  const healer = connectHealer(watched, stuckPods, injector.isInjecting);
  observe(watched, cluster, replicator, stuckPods);
  const leadership = new Leadership(watched, cluster, replicator, (signal) => {
    certificates?.lead?.(signal);
    replicator.start();
    provided.start(signal);
    status.start(signal);
    stuckPods.start(signal);
    healer?.start(signal);
    faults.warn();
    void injector.policy.start(signal);
  });
  stack.defer(() => leadership.handOver());
  known.start();
  return {
    ports: { ...portsOf(watched, faults), serviceAccount },
    certificates,
    known: Promise.all([known.synced, registries.objects.asked, certificates?.trusted]),
    unreadyReasons,
    setConfiguration(configuration) {
      registries.setConfiguration(configuration);
      leadership.start();
    },
    handOver: () => leadership.handOver(),
    stop: () => stack.disposeAsync(),
  };
}

function close(part: { close(): void }): void {
  part.close();
}

function portsOf(
  { known, optIns }: WatchedCluster,
  faults: FaultReport,
): Pick<AdmissionPorts, "namespace" | "buildSecret"> {
  return {
    // The API server asks only where the label is, and knows it before our watch does.
    namespace: (name) => optIns.get(name) ?? { isOptedIn: true, labels: "unknown" },
    buildSecret: (name) => ({
      exists: known.copies.store.get(name, BUILD_SECRET_NAME) !== undefined,
      isExpected: optIns.isRecent(name),
      unreadable: faults.registries(),
    }),
  };
}

function connectStuckPods(
  { access, events, informers, optIns, logger }: WatchedCluster,
  { replicator, serviceAccount }: Replication,
  { objects }: RegistryList,
): StuckPods {
  const stuckPods = new StuckPods({
    ...{ informers, optIns, logger, serviceAccount },
    pullSecret: (namespace, name) => replicator.pullSecretState(namespace, name),
    warn: access.recordEvent,
    onStuck: (pod, diagnosis) => events.emit("stuck", pod, diagnosis),
  });
  events.on("change", () => {
    stuckPods.schedule();
  });
  events.on("registries", (joined) => {
    stuckPods.setRegistries(joined, objects.list());
  });
  return stuckPods;
}

function connectHealer(
  { options, logger, metrics, access, events, known, optIns }: WatchedCluster,
  stuckPods: StuckPods,
  isInjecting: () => Promise<boolean>,
): Healer | undefined {
  const { heal: mode } = options;
  if (mode === undefined) return undefined;
  const healer = new Healer({
    ...{ mode, apisFor: access.leaderApisFor, logger, onOutcome: metrics.countHeal },
    isEnabledIn: (namespace) => optIns.get(namespace)?.labels[HEAL_LABEL] === "enabled",
    diagnose: (namespace, pod) => stuckPods.diagnose(namespace, pod)?.containers ?? [],
    hasCopy: (namespace, name) => known.copies.store.get(namespace, name) !== undefined,
    isWebhookReady: isInjecting,
    report(namespace, { apiVersion, kind, name, uid }, reason, message) {
      access.recordEvent({ reason, message, object: { apiVersion, kind, namespace, name, uid } });
    },
  });
  events.on("stuck", (pod, { containers }) => {
    healer.consider(pod, containers);
  });
  return healer;
}

function observe(
  { metrics, access, informers, known }: WatchedCluster,
  { sources, faults }: ClusterRegistries,
  replicator: Replicator,
  stuckPods: StuckPods,
): void {
  metrics.observe(() => ({
    copies: known.copies.store.size,
    queueDepth: replicator.depth,
    blockedNamespaces: replicator.blockedNamespaces,
    isLeading: access.election.isLeading(),
    unreadableSources: faults.registries(),
    credentialExpiries: expiriesOf(sources.current()),
    watchAgesSeconds: informers.agesSeconds(),
    stuckPods: stuckPods.counts(),
  }));
}

/** In Unix time, in milliseconds; of those registries whose credentials say when they end. */
function expiriesOf(sources: readonly Source[]): ReadonlyMap<string, number> {
  const expiries = sources.map(
    ({ registry: { name }, credentials }) => [name, firstExpiry(credentials)] as const,
  );
  return new Map(expiries.filter(([, expiresAt]) => expiresAt < Infinity));
}
