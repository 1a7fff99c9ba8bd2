/** What `serve` does with a cluster: what the webhook knows of it, and the replicator, on one transport and a few informers. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { AdmissionPorts } from "../admission/ports.ts";
import type { Configuration } from "../config/configuration.ts";
import type { Environment } from "../config/credentials.ts";
import { messageOf } from "../core/error-message.ts";
import { MANAGED_BY_LABEL, MANAGER } from "../core/labels.ts";
import { BUILD_SECRET_NAME } from "../core/replication.ts";
import type { Versioned } from "../core/store.ts";
import { createApis } from "../kube/api.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { createEventRecorder, type EventRecorderOptions } from "../kube/event-recorder.ts";
import type { Informer, InformerTimings } from "../kube/informer.ts";
import { createLeaderElection, type LeaderElection } from "../kube/leader-election.ts";
import { readLease } from "../kube/lease.ts";
import { createRequestRate, type RateLimit } from "../kube/request-rate.ts";
import { createCopyWriter, digest, readCopy } from "../kube/resources/copies.ts";
import { readNamespace } from "../kube/resources/namespaces.ts";
import {
  createServiceAccountCache,
  createServiceAccountClient,
  readServiceAccountMetadata,
} from "../kube/resources/service-accounts.ts";
import { createStringPool } from "../kube/string-pool.ts";
import { createTransport, type Transport } from "../kube/transport.ts";
import { createReplicator } from "../replicator/controller.ts";
import type { CopyWriter } from "../replicator/ports.ts";
import { REPORTS } from "../replicator/progress.ts";
import type { ClusterMetrics } from "../telemetry/cluster-metrics.ts";
import {
  clusterCertificates,
  type ClusterCertificateOptions,
  type ClusterCertificates,
} from "./cluster-certificates.ts";
import { createCredentialSources, createFaultReport, describeSecret } from "./credential-sources.ts";
import { createInformers, type Informers } from "./informers.ts";
import { trackOptIns, type OptIns } from "./opt-ins.ts";

export interface ClusterOptions {
  readonly connection: KubeConnection;
  /** The namespace of the Lease, and of Secrets that the configuration names without one. */
  readonly namespace: string;
  /** This replica, among all of them. */
  readonly identity: string;
  /** The pod that this is, if it is one: Events that are about no other object are about it. */
  readonly pod: EventRecorderOptions["pod"];
  /** Undefined: the API server's priority and fairness is trusted, as controllers do today. */
  readonly requestLimit: RateLimit | undefined;
  /** Namespaces that are worked on at once. */
  readonly concurrency: number;
  readonly informerTimings: Partial<InformerTimings>;
}

export interface ClusterTelemetry {
  readonly logger: Logger;
  readonly metrics: ClusterMetrics;
}

export interface ClusterRuntime {
  readonly ports: Pick<AdmissionPorts, "namespace" | "buildSecret" | "serviceAccount">;
  /** Those of which the cluster says more than their source does, if there are such. */
  readonly certificates: ClusterCertificates | undefined;
  /** Why reviews should not come here yet; none once everything is known. */
  unreadyReasons(): readonly string[];
  /** Resolves once there is none. */
  readonly known: Promise<unknown>;
  setConfiguration(configuration: Configuration): void;
  /** Hands leadership over and stops writing. What the webhook knows stays. */
  stop(): Promise<void>;
}

/** How long a replica that stops waits for its last writes; the Lease expires soon after. */
const LAST_WRITES_MS = 5000;

/** Starts at once and goes on by itself; an API server that does not answer is waited for. */
export function connectCluster(
  options: ClusterOptions,
  environment: Environment,
  telemetry: ClusterTelemetry,
  tls?: ClusterCertificateOptions,
): ClusterRuntime {
  const { logger, metrics } = telemetry;
  const stack = new AsyncDisposableStack();
  const transport = stack.adopt(createClusterTransport(options, telemetry), (opened) => {
    opened.close();
  });
  const apisFor = createApis(transport);
  const { namespace, identity } = options;
  const election = createLeaderElection({ apisFor, namespace, name: MANAGER, identity });
  const leaderApisFor = createApis(transport, election.guard);
  const recordEvent = createEventRecorder({
    apisFor,
    ...(options.pod !== undefined && { pod: options.pod }),
    log({ secret, ...warning }) {
      logger.warn({ ...warning, ...(secret && { secret: describeSecret(secret) }) }, "replication");
    },
    onFailure(error) {
      logger.warn({ error: messageOf(error) }, "failed to write an event");
    },
  });

  const informers = stack.adopt(
    createInformers({
      transport,
      timings: options.informerTimings,
      onRestart: metrics.countWatchRestart,
      logger,
    }),
    (created) => {
      created.close();
    },
  );
  const pool = createStringPool();
  const namespaces = informers.create("namespaces", {
    collection: { path: "/api/v1/namespaces", metadataOnly: true },
    project: (object) => readNamespace(object, pool),
  });
  const copies = informers.create("copies", {
    collection: { path: "/api/v1/secrets", query: { labelSelector: `${MANAGED_BY_LABEL}=${MANAGER}` } },
    project: (object) => readCopy(object, pool),
    pool,
  });
  const accounts = informers.create("service accounts", {
    collection: { path: "/api/v1/serviceaccounts", metadataOnly: true },
    project: readServiceAccountMetadata,
    pool,
  });
  const main: Readonly<Record<string, Pick<Informer<Versioned>, "isSynced" | "synced" | "start">>> = {
    namespaces,
    copies,
    "service accounts": accounts,
  };
  const synced = Promise.all(Object.values(main).map((informer) => informer.synced));

  const optIns = trackOptIns(namespaces);
  const accountClient = createServiceAccountClient(leaderApisFor);
  const enforcingAccounts = stack.adopt(
    createServiceAccountCache({
      client: accountClient,
      onFailure(account, error) {
        logger.warn({ account, error: messageOf(error) }, "failed to read a ServiceAccount; retrying");
      },
    }),
    (cache) => {
      cache.close();
    },
  );
  const replicator = createReplicator({
    namespaces: namespaces.store.in(""),
    copies: copies.store,
    accounts: accounts.store,
    writer: forgettingOptIns(createCopyWriter(leaderApisFor, pool), optIns),
    accountClient,
    warn: recordEvent,
    digest,
    concurrency: options.concurrency,
    random: Math.random,
    onWrite: metrics.countWrite,
    onFailure(key, error, retryInMs) {
      metrics.countFailure();
      const facts = { key, error: messageOf(error), retryInMs: Math.round(retryInMs) };
      logger.warn(facts, "replication failed; retrying");
    },
    onReport({ kind, ...facts }) {
      logger.info(facts, REPORTS[kind]);
    },
  });
  namespaces.subscribe((_, name) => {
    replicator.onNamespaceChange(name);
  });
  copies.subscribe((name) => {
    replicator.onCopyChange(name);
  });
  accounts.subscribe((accountNamespace, name, current) => {
    enforcingAccounts.update(accountNamespace, name, current);
    replicator.onAccountChange(accountNamespace, name);
  });

  const faults = createFaultReport(logger, recordEvent, {
    isLeading: election.isLeading,
    isPod: options.pod !== undefined,
  });
  let attachedServiceAccounts: readonly string[] = [];
  const sources = stack.adopt(
    createCredentialSources({
      environment,
      ownNamespace: namespace,
      watchSecret: (secret, onChange) => watchSecret(informers, secret, onChange),
      onChange(next, nextFaults) {
        faults.report(nextFaults, next);
        replicator.setDesiredState({ sources: next, attachedServiceAccounts });
      },
    }),
    (created) => {
      created.close();
    },
  );
  const certificates = clusterCertificates(tls, {
    apisFor: leaderApisFor,
    namespace,
    logger,
    watchSecret: (secret, onChange) => watchSecret(informers, secret, onChange),
    watchObject: informers.watchObject,
  });
  metrics.observe(() => ({
    copies: copies.store.size,
    queueDepth: replicator.depth,
    blockedNamespaces: replicator.blockedNamespaces,
    isLeading: election.isLeading(),
    unreadableSources: faults.registries(),
    watchAgesSeconds: informers.agesSeconds(),
  }));
  stack.defer(() => election.release());
  // What was started is finished before another replica starts.
  stack.defer(async () => {
    await Promise.race([replicator.stop(), sleep(LAST_WRITES_MS, undefined, { ref: false })]);
  });
  for (const informer of Object.values(main)) informer.start();

  /** Whoever may write has to know everything: what is not known yet would be created a second time. */
  async function startElection(): Promise<void> {
    await Promise.all([synced, sources.settled()]);
    if (stack.disposed) return;
    watchLease(informers, namespace, election);
    election.start({
      ...reportedElection(transport, logger),
      onStarted(signal) {
        logger.info("leading: this replica writes");
        certificates?.lead?.(signal);
        replicator.start();
        faults.warn();
      },
      onStopped() {
        logger.info("no longer leading");
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
        exists: copies.store.get(name, BUILD_SECRET_NAME) !== undefined,
        isExpected: optIns.isRecent(name),
        unreadable: faults.registries(),
      }),
      serviceAccount: enforcingAccounts.get,
    },
    certificates,
    known: Promise.all([synced, certificates?.trusted]),
    unreadyReasons: () => [
      ...Object.entries(main).flatMap(([label, { isSynced }]) =>
        isSynced ? [] : [`the ${label} of the cluster are not known yet`],
      ),
      ...(certificates?.unreadyReasons() ?? []),
    ],
    setConfiguration(configuration) {
      attachedServiceAccounts = configuration.attachedServiceAccounts;
      sources.setConfiguration(configuration);
      electionStarted ??= startElection();
    },
    stop: () => stack.disposeAsync(),
  };
}

function createClusterTransport(
  { connection, requestLimit: limit, concurrency }: ClusterOptions,
  { logger, metrics }: ClusterTelemetry,
): Transport {
  // Each namespace of both priorities has a few copies to write.
  const rate = createRequestRate({ ...(limit && { limit }), concurrency: concurrency * 4 });
  return createTransport({
    connection,
    rate,
    onRequest({ method, status }) {
      metrics.countRequest(method, status);
    },
    onThrottled(throttle) {
      metrics.countThrottled();
      logger.warn(throttle, "the API server asks to wait");
    },
  });
}

/** Where somebody else's Secret has its name, the build secret is no longer on its way. */
function forgettingOptIns(writer: CopyWriter, optIns: OptIns): CopyWriter {
  return {
    ...writer,
    async create(namespace, copy, priority) {
      const outcome = await writer.create(namespace, copy, priority);
      if (outcome.kind === "not-owned" && copy.name === BUILD_SECRET_NAME) optIns.forget(namespace);
      return outcome;
    },
  };
}

function watchSecret(
  informers: Informers,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  onChange: Parameters<Informers["watchObject"]>[1],
): ReturnType<Informers["watchObject"]> {
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  return informers.watchObject({ label: `secret ${namespace}/${name}`, path, name }, onChange);
}

function watchLease(informers: Informers, namespace: string, election: LeaderElection): void {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  informers.watchObject({ label: "lease", path, name: MANAGER }, (state) => {
    election.observe(state === "missing" ? undefined : readLease(state).holder);
  });
}

/** The same fault counts as another one after so long. */
const NEW_FAULT_MS = 60_000;

/** Says why the Lease cannot be renewed, and opens fresh connections: all of them may be as dead as that one. */
function reportedElection(
  transport: Transport,
  logger: Logger,
): { readonly onError: (error: unknown) => void } {
  let last: { readonly message: string; readonly time: number } | undefined;
  return {
    onError(error) {
      const message = messageOf(error);
      const isKnown = last?.message === message && Date.now() - last.time < NEW_FAULT_MS;
      last = { message, time: Date.now() };
      if (isKnown) return;
      logger.warn({ error: message }, "failed to acquire or renew the lease; retrying");
      transport.reconnect();
    },
  };
}
