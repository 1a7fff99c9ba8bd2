/** Joins a cluster: what the webhook knows of it, and the replicator, on one client and a few watches. */
import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import type { AdmissionPorts } from "../admission/ports.ts";
import type { Configuration } from "../config/configuration.ts";
import type { Environment } from "../config/credentials.ts";
import { messageOf } from "../core/error-message.ts";
import type { Namespace } from "../core/kubernetes.ts";
import { MANAGER } from "../core/labels.ts";
import { BUILD_SECRET_NAME } from "../core/replication.ts";
import { keepAccountFacts } from "../kube/account-facts.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { createCopyWriter } from "../kube/copy-writer.ts";
import { eventRecorder, type EventRecorderOptions } from "../kube/events.ts";
import { createHttpsClient } from "../kube/https-client.ts";
import { createIntern } from "../kube/intern.ts";
import { onlyWhileLeading, type LeaderElection } from "../kube/leader.ts";
import { digest } from "../kube/read-copy.ts";
import { createRequestRate } from "../kube/request-rate.ts";
import { createServiceAccountClient } from "../kube/service-accounts.ts";
import type { ReflectorTimings } from "../kube/reflector.ts";
import { createReplicator } from "../replicator/controller.ts";
import type { CopyWriter } from "../replicator/ports.ts";
import { REPORTS } from "../replicator/progress.ts";
import type { ClusterGauges, ClusterMetrics } from "../telemetry/cluster-metrics.ts";
import { startCampaign } from "./campaign.ts";
import type { CertificateSource, ClusterCertificates } from "./certificate-source.ts";
import { createFaultReport } from "./fault-report.ts";
import { keepSelfManaged, type SelfManagedOptions } from "./self-managed.ts";
import { describeSecret, keepSources } from "./sources.ts";
import { followTrust, type TrustedFiles } from "./trusted-files.ts";
import { watchCluster } from "./watch-cluster.ts";

export interface ClusterOptions {
  readonly connection: KubeConnection;
  /** The namespace of the lease, and of Secrets that the configuration names without one. */
  readonly namespace: string;
  /** This replica, among all of them. */
  readonly identity: string;
  /** The pod that this is, if it is one: what has no other object is told there. */
  readonly pod: EventRecorderOptions["pod"];
  /** Requests to the API server per second, over time and at once. */
  readonly requestsPerSecond: number;
  readonly burst: number;
  /** Namespaces that are worked on at once. */
  readonly concurrency: number;
  readonly watchTimings: Partial<ReflectorTimings>;
}

export interface ClusterTelemetry {
  readonly logger: Logger;
  readonly metrics: (read: () => ClusterGauges) => ClusterMetrics;
}

export interface Membership {
  readonly ports: Pick<AdmissionPorts, "namespace" | "buildSecret" | "serviceAccount">;
  /** Those of which the cluster tells more than their source does, if there are such. */
  readonly certificates: CertificateSource | undefined;
  /** Why reviews should not come here yet; none once everything is known. */
  unreadyReasons(): readonly string[];
  /** Resolves once there is none. */
  readonly known: Promise<unknown>;
  setConfiguration(configuration: Configuration): void;
  /** Hands leadership over and stops writing. What the webhook knows stays. */
  leave(): Promise<void>;
}

/**
 * The copies of a namespace that opts in are there within a second; within 14 s if the leader dies meanwhile (see
 * LEADER_TIMING); and a minute leaves room for an API server that is restarted.
 */
const FIRST_COPIES_MS = 60_000;

/** How long a replica that stops waits for its last writes; the lease expires soon after. */
const LAST_WRITES_MS = 5000;

/** Starts at once and goes on by itself; an API server that does not answer is waited for. */
export function joinCluster(
  options: ClusterOptions,
  environment: Environment,
  { logger, metrics: createMetrics }: ClusterTelemetry,
  tls?: SelfManagedOptions | TrustedFiles,
): Membership {
  const namespaces = new Map<string, Namespace>();
  const optInTimes = new Map<string, number>();
  const optedIn = (name: string): Namespace | undefined => {
    const namespace = namespaces.get(name);
    return namespace?.isOptedIn === true ? namespace : undefined;
  };
  let leadership: LeaderElection | undefined;
  let hasLeft = false;
  const isLeading = (): boolean => leadership?.isLeading() ?? false;

  const metrics = createMetrics(() => ({
    copies: replicator.copies.size,
    queueDepth: replicator.depth,
    blockedNamespaces: replicator.blockedNamespaces,
    isLeading: isLeading(),
    unreadableSources: faults.registries(),
    watchAgesSeconds: watches.agesSeconds(),
  }));
  const rate = createRequestRate({
    perSecond: options.requestsPerSecond,
    burst: options.burst,
    // Each namespace of both lanes has a few copies to write.
    concurrency: options.concurrency * 4,
  });
  const client = createHttpsClient({
    connection: options.connection,
    rate,
    onRequest({ method, status }) {
      metrics.countRequest(method, status);
    },
    onThrottled(facts) {
      metrics.countThrottled();
      logger.warn(facts, "the API server asks to wait");
    },
  });
  const leaderClient = onlyWhileLeading(client, () => leadership);
  const intern = createIntern();
  const accounts = createServiceAccountClient(leaderClient);
  const accountFacts = keepAccountFacts(accounts);
  const warn = eventRecorder({
    client,
    ...(options.pod === undefined ? {} : { pod: options.pod }),
    log({ secret, ...warning }) {
      logger.warn(
        { ...warning, ...(secret === undefined ? {} : { secret: describeSecret(secret) }) },
        "replication",
      );
    },
    onFailure(error) {
      logger.warn({ error: messageOf(error) }, "an event could not be written");
    },
  });

  const copyWriter = createCopyWriter(leaderClient, intern);
  const createCopy: CopyWriter["create"] = async (namespace, copy, lane) => {
    const outcome = await copyWriter.create(namespace, copy, lane);
    // Somebody else's Secret has its name: the build secret is no longer on its way.
    if (outcome.kind === "foreign" && copy.name === BUILD_SECRET_NAME) optInTimes.delete(namespace);
    return outcome;
  };

  const replicator = createReplicator({
    namespaces,
    writer: { ...copyWriter, create: createCopy },
    accounts,
    warn,
    digest,
    concurrency: options.concurrency,
    random: Math.random,
    onWrite: metrics.countWrite,
    onFailure(key, error, retryInMs) {
      metrics.countFailure();
      logger.warn(
        { key, error: messageOf(error), retryInMs: Math.round(retryInMs) },
        "replication failed; it is tried again",
      );
    },
    onReport({ kind, ...facts }) {
      logger.info(facts, REPORTS[kind]);
    },
  });
  const watches = watchCluster({
    client,
    intern,
    namespaces,
    optInTimes,
    replicator,
    accountFacts,
    timings: options.watchTimings,
    onRestart: metrics.countWatchRestart,
    logger,
  });

  const certificates = keepCertificates();

  const faults = createFaultReport(logger, warn, { isLeading, isPod: options.pod !== undefined });
  let attachedServiceAccounts: readonly string[] = [];
  const sources = keepSources({
    environment,
    ownNamespace: options.namespace,
    watchSecret: (secret, onChange) => watches.watchSecret(secret, onChange),
    onChange(next, nextFaults) {
      faults.report(nextFaults, next);
      replicator.setGoal({ sources: next, attachedServiceAccounts });
    },
  });

  function keepCertificates(): ClusterCertificates | undefined {
    if (tls === undefined) return undefined;
    if ("source" in tls) return followTrust(tls, watches);
    return keepSelfManaged(tls, { client: leaderClient, watches, namespace: options.namespace, logger });
  }

  /** Whoever may write has to know everything: what is not known yet would be created a second time. */
  async function campaign(): Promise<void> {
    await Promise.all([watches.synced, sources.settled()]);
    if (hasLeft) return;
    leadership = startCampaign({
      client,
      namespace: options.namespace,
      name: MANAGER,
      identity: options.identity,
      logger,
      onStarted(signal) {
        certificates?.lead?.(signal);
        replicator.start();
        faults.warn();
      },
      onStopped() {
        void replicator.stop();
      },
    });
  }
  let campaigning: Promise<void> | undefined;

  return {
    ports: {
      // The API server asks only where the label is, and knows it before our watch does.
      namespace: (name) => optedIn(name) ?? { isOptedIn: true, labels: "unknown" },
      buildSecret: (name) => ({
        exists: replicator.copies.in(name).has(BUILD_SECRET_NAME),
        isExpected:
          optedIn(name) === undefined || Date.now() - (optInTimes.get(name) ?? -Infinity) < FIRST_COPIES_MS,
        unreadable: faults.registries(),
      }),
      serviceAccount: (namespace, name) => accountFacts.of(namespace, name),
    },
    certificates,
    known: Promise.all([watches.synced, certificates?.trusted]),
    unreadyReasons: () => [
      ...watches.unsynced().map((name) => `the ${name} of the cluster are not known yet`),
      ...(certificates?.unreadyReasons() ?? []),
    ],
    setConfiguration(configuration) {
      attachedServiceAccounts = configuration.attachedServiceAccounts;
      sources.setConfiguration(configuration);
      campaigning ??= campaign();
    },
    async leave() {
      hasLeft = true;
      // What was begun is done before another replica begins.
      await Promise.race([replicator.stop(), setTimeout(LAST_WRITES_MS, undefined, { ref: false })]);
      await leadership?.release();
      sources.close();
      watches.close();
      client.close();
    },
  };
}
