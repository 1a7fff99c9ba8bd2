/** Joins a cluster: what the webhook knows of it, and the replicator, on one client and a few watches. */
import type { Logger } from "pino";
import type { AdmissionPorts } from "../admission/ports.ts";
import type { Configuration } from "../config/configuration.ts";
import type { Environment } from "../config/credentials.ts";
import type { Namespace } from "../core/kubernetes.ts";
import { MANAGER } from "../core/labels.ts";
import { keepAccountFacts } from "../kube/account-facts.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { createCopyWriter } from "../kube/copy-writer.ts";
import { createEventRecorder, type OwnPod } from "../kube/events.ts";
import { createHttpsClient } from "../kube/https-client.ts";
import { createIntern } from "../kube/intern.ts";
import { startLeaderElection, type LeaderElection } from "../kube/leader.ts";
import { createRequestRate } from "../kube/request-rate.ts";
import { createServiceAccountClient } from "../kube/service-accounts.ts";
import type { ReflectorTimings } from "../kube/reflector.ts";
import { createReplicator } from "../replicator/controller.ts";
import type { ClusterGauges, ClusterMetrics } from "../telemetry/cluster-metrics.ts";
import { keepSources, type SourceFault } from "./sources.ts";
import { watchCluster } from "./watch-cluster.ts";

export interface ClusterOptions {
  readonly connection: KubeConnection;
  /** The namespace of the lease, and of Secrets that the configuration names without one. */
  readonly namespace: string;
  /** This replica, among all of them. */
  readonly identity: string;
  /** The pod that this is, if it is one: what has no other object is told there. */
  readonly pod: OwnPod | undefined;
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
  readonly ports: Pick<AdmissionPorts, "namespace" | "serviceAccount">;
  /** Why reviews should not come here yet; none once everything is known. */
  unreadyReasons(): readonly string[];
  setConfiguration(configuration: Configuration): void;
  /** Hands leadership over and stops writing. What the webhook knows stays. */
  leave(): Promise<void>;
}

/** Starts at once and goes on by itself; an API server that does not answer is waited for. */
export function joinCluster(
  options: ClusterOptions,
  environment: Environment,
  { logger, metrics: createMetrics }: ClusterTelemetry,
): Membership {
  const namespaces = new Map<string, Namespace>();
  let faults: readonly SourceFault[] = [];
  let leadership: LeaderElection | undefined;
  let hasLeft = false;
  const isLeading = (): boolean => leadership?.isLeading() ?? false;

  const metrics = createMetrics(() => ({
    copies: replicator.copies.size,
    queueDepth: replicator.depth,
    blockedNamespaces: replicator.blockedNamespaces,
    isLeading: isLeading(),
    unreadableSources: faults.map(({ registry }) => registry),
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
  const intern = createIntern();
  const accounts = createServiceAccountClient(client);
  const accountFacts = keepAccountFacts(accounts);
  const recordEvent = createEventRecorder({
    client,
    pod: options.pod,
    onFailure(error) {
      logger.warn({ error: error.message }, "an event could not be written");
    },
  });

  const replicator = createReplicator({
    namespaces,
    writer: createCopyWriter(client, intern),
    accounts,
    warn(warning) {
      logger.warn(warning, "replication");
      recordEvent(warning);
    },
    mayWrite: isLeading,
    concurrency: options.concurrency,
    random: Math.random,
    onWrite: metrics.countWrite,
    onFailure(key, error, retryInMs) {
      metrics.countFailure();
      const message = error instanceof Error ? error.message : String(error);
      logger.warn(
        { key, error: message, retryInMs: Math.round(retryInMs) },
        "replication failed; it is tried again",
      );
    },
  });
  const watches = watchCluster({
    client,
    intern,
    namespaces,
    replicator,
    accountFacts,
    timings: options.watchTimings,
    onRestart: metrics.countWatchRestart,
    logger,
  });

  const sources = keepSources({
    environment,
    ownNamespace: options.namespace,
    watchSecret: watches.watchSecret,
    onChange(next, nextFaults) {
      reportFaults(nextFaults);
      replicator.setGoal({ sources: next, attachedServiceAccounts: attachedServiceAccounts });
    },
  });
  let attachedServiceAccounts: readonly string[] = [];

  /** Each fault is told once, and every replica logs it; events come from the one that writes. */
  function reportFaults(next: readonly SourceFault[]): void {
    const before = new Set(faults.map(describeFault));
    faults = next;
    for (const fault of next) {
      if (before.has(describeFault(fault))) continue;
      logger.error(fault, "credentials cannot be had; copies stay as they are");
      if (isLeading()) warnOf(fault);
    }
  }
  function warnOf({ registry, message, secret }: SourceFault): void {
    recordEvent({
      reason: "CredentialsUnreadable",
      message: `The credentials of registry ${registry} cannot be had: ${message}. Copies stay as they are.`,
      ...(secret === undefined ? {} : { secret }),
    });
  }

  /** Whoever may write has to know everything: what is not known yet would be created a second time. */
  async function campaign(): Promise<void> {
    await Promise.all([watches.synced, sources.settled()]);
    if (hasLeft) return;
    leadership = startLeaderElection({
      client,
      namespace: options.namespace,
      name: MANAGER,
      identity: options.identity,
      onStarted() {
        logger.info("leading: this replica writes");
        replicator.start();
        faults.forEach(warnOf);
      },
      onStopped() {
        logger.info("not leading any more");
        replicator.stop();
      },
      onFault(error) {
        logger.warn(
          { error: error instanceof Error ? error.message : String(error) },
          "the lease cannot be had",
        );
      },
    });
  }
  let campaigning: Promise<void> | undefined;

  return {
    ports: {
      // One that was made a moment ago: the API server knows it already, and asks only where the label is.
      namespace: (name) => namespaces.get(name) ?? { isOptedIn: true, labels: "unknown" },
      serviceAccount: accountFacts.of,
    },
    unreadyReasons: () => watches.unsynced().map((name) => `the ${name} of the cluster are not known yet`),
    setConfiguration(configuration) {
      attachedServiceAccounts = configuration.attachedServiceAccounts;
      sources.setConfiguration(configuration);
      campaigning ??= campaign();
    },
    async leave() {
      hasLeft = true;
      replicator.stop();
      await leadership?.release();
      sources.close();
      watches.close();
      client.close();
    },
  };
}

function describeFault({ registry, message }: SourceFault): string {
  return `${registry}: ${message}`;
}
