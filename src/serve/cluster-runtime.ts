/** What `serve` does with a cluster: what the webhook knows of it, and the replicator, on one transport and a few informers. */
import { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { AdmissionPorts } from "../admission/ports.ts";
import type { Configuration } from "../config/configuration.ts";
import type { Environment } from "../config/credentials.ts";
import { OTHER_EXCLUDED_NAMESPACE } from "../core/admission-policy/render.ts";
import { HEAL_LABEL, MANAGER } from "../core/labels.ts";
import { BUILD_SECRET_NAME, type Source } from "../core/replication.ts";
import { createPolicyWriter, findPolicy, type PolicyWriter } from "../kube/resources/admission-policies.ts";
import { isRegistered } from "../kube/resources/evictions.ts";
import { PolicyKeeper, PolicyRemover } from "./admission-policy.ts";
import {
  accessCluster,
  createKnownObjects,
  lead,
  type ClusterAccess,
  type ClusterEvents,
  type ClusterOptions,
  type ClusterTelemetry,
  type KnownObjects,
} from "./cluster-access.ts";
import {
  clusterCertificates,
  type ClusterCertificateOptions,
  type ClusterCertificates,
} from "./cluster-certificates.ts";
import { connectRegistries, watchSecretWith } from "./cluster-registries.ts";
import { firstExpiry } from "./credential-sources.ts";
import { Healer } from "./heal.ts";
import { createInformers, type Informers } from "./informers.ts";
import { trackOptIns, type OptIns } from "./opt-ins.ts";
import { connectReplicator } from "./replication.ts";
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

/** How long a replica that hands over waits for its last writes; the Lease expires soon after. */
const LAST_WRITES_MS = 5000;

/** Starts at once and goes on by itself; an API server that does not answer is waited for. */
export function connectCluster(
  options: ClusterOptions,
  environment: Environment,
  telemetry: ClusterTelemetry,
  onRegistries: (configuration: Configuration) => void,
  tls?: ClusterCertificateOptions,
): ClusterRuntime {
  const { logger, metrics } = telemetry;
  const events: ClusterEvents = new EventEmitter();
  const onChange = (): void => void events.emit("change");
  const stack = new AsyncDisposableStack();
  const access = accessCluster(options, telemetry);
  stack.defer(() => {
    access.transport.close();
  });
  const informers = createInformers({
    transport: access.transport,
    timings: options.informerTimings,
    onRestart: metrics.countWatchRestart,
    logger,
  });
  stack.defer(() => {
    informers.close();
  });
  const known = createKnownObjects(informers);
  const optIns = trackOptIns(known.namespaces);
  const replication = connectReplicator(options, telemetry, { access, known, optIns, onWrite: onChange });
  stack.defer(() => {
    replication.close();
  });
  const { replicator, serviceAccount } = replication;

  const watchSecret = watchSecretWith(informers);
  const parts = { environment, access, events, informers, watchSecret, replicator };
  const cluster = connectRegistries(options, telemetry, parts);
  stack.defer(() => {
    cluster.close();
  });
  const { registries, sources, provided, status, faults } = cluster;
  const writer = createPolicyWriter(access.leaderApisFor);
  const policy = keepPolicy(options, telemetry, { access, known, informers, writer });
  stack.defer(() => policy?.close());
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
    onRegistries(joined);
    policy?.setRegistries(joined.registries);
    stuckPods.setRegistries(joined, registries.objects.list());
  });
  known.namespaces.subscribe(onChange);
  known.copies.subscribe(onChange);
  const certificates = clusterCertificates(tls, {
    ...{ apisFor: access.leaderApisFor, namespace: options.namespace, logger, watchSecret },
    watchObject: informers.watchObject,
  });

  const unreadyReasons = (): readonly string[] =>
    [known, registries, certificates, policy].flatMap((part) => part?.unreadyReasons() ?? []);
  /** Pods get their pull secrets, in whatever way. */
  const isInjecting = async (): Promise<boolean> =>
    unreadyReasons().length === 0 &&
    (options.mode === "policy" || (await isRegistered(access.leaderApisFor, MANAGER)));
  const policyRemover =
    policy === undefined
      ? new PolicyRemover({
          ...{ writer, isWebhookReady: isInjecting, logger },
          find: () => findPolicy(access.apisFor),
        })
      : undefined;
  const healer = heal(options, telemetry, { access, events, known, optIns, stuckPods, isInjecting });

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
  let handedOver: Promise<void> | undefined;
  async function handOver(): Promise<void> {
    // What was started is finished before another replica starts.
    await Promise.race([replicator.stop(), sleep(LAST_WRITES_MS, undefined, { ref: false })]);
    await access.election.release();
  }
  const handOverOnce = (): Promise<void> => (handedOver ??= handOver());
  stack.defer(handOverOnce);
  known.start();

  /** Whoever may write has to know everything: what is not known yet would be created a second time. */
  async function startElection(): Promise<void> {
    await Promise.all([known.synced, registries.objects.asked]);
    await Promise.all([sources.settled(), provided.settled()]);
    if (handedOver !== undefined) return;
    lead(access, informers, logger, {
      onStarted(signal) {
        certificates?.lead?.(signal);
        replicator.start();
        provided.start(signal);
        status.start(signal);
        stuckPods.start(signal);
        healer?.start(signal);
        faults.warn();
        void (policy ?? policyRemover)?.start(signal);
      },
      onStopped() {
        void replicator.stop();
      },
    });
  }
  let electionStarted: Promise<void> | undefined;

  return {
    ports: {
      // The API server asks only where the label is, and knows it before our watch does.
      namespace: (name) => optIns.get(name) ?? { isOptedIn: true, labels: "unknown" },
      buildSecret: (name) => ({
        exists: known.copies.store.get(name, BUILD_SECRET_NAME) !== undefined,
        isExpected: optIns.isRecent(name),
        unreadable: faults.registries(),
      }),
      serviceAccount,
    },
    certificates,
    known: Promise.all([known.synced, registries.objects.asked, certificates?.trusted]),
    unreadyReasons,
    setConfiguration(configuration) {
      registries.setConfiguration(configuration);
      electionStarted ??= startElection();
    },
    handOver: handOverOnce,
    stop: () => stack.disposeAsync(),
  };
}

interface PolicyParts {
  readonly access: ClusterAccess;
  readonly known: KnownObjects;
  readonly informers: Informers;
  readonly writer: PolicyWriter;
}

function keepPolicy(
  { mode, namespace, excludedNamespaces }: ClusterOptions,
  { logger }: ClusterTelemetry,
  { access, known, informers, writer }: PolicyParts,
): PolicyKeeper | undefined {
  if (mode === "webhook") return undefined;
  const keeper = new PolicyKeeper({
    ...{ writer, watchObject: informers.watchObject, logger },
    excludedNamespaces: [...new Set([OTHER_EXCLUDED_NAMESPACE, namespace, ...excludedNamespaces])],
    warn: access.recordEvent,
  });
  known.accounts.subscribe((ofNamespace, name, account) => {
    keeper.setEnforcing(`${ofNamespace}/${name}`, account?.isMountableSecretsEnforced === true);
  });
  return keeper;
}

interface HealerParts {
  readonly access: ClusterAccess;
  readonly events: ClusterEvents;
  readonly known: KnownObjects;
  readonly optIns: OptIns;
  readonly stuckPods: StuckPods;
  readonly isInjecting: () => Promise<boolean>;
}

function heal(
  { heal: mode }: ClusterOptions,
  { logger, metrics }: ClusterTelemetry,
  { access, events, known, optIns, stuckPods, isInjecting }: HealerParts,
): Healer | undefined {
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

/** In Unix time, in milliseconds; of those registries whose credentials say when they end. */
function expiriesOf(sources: readonly Source[]): ReadonlyMap<string, number> {
  const expiries = sources.map(
    ({ registry: { name }, credentials }) => [name, firstExpiry(credentials)] as const,
  );
  return new Map(expiries.filter(([, expiresAt]) => expiresAt < Infinity));
}
