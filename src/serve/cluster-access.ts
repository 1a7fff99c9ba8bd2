/** How `serve` reaches a cluster, and what it watches of it. */
import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import type { Configuration } from "../config/configuration.ts";
import type { Diagnosis } from "../core/diagnosis.ts";
import { messageOf } from "../core/error-message.ts";
import type { Namespace } from "../core/kubernetes.ts";
import { MANAGED_BY_LABEL, MANAGER } from "../core/labels.ts";
import type { ExistingCopy } from "../core/replication.ts";
import type { Versioned } from "../core/store.ts";
import { createApis, type ApisFor } from "../kube/api.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { createEventRecorder, type EventRecorderOptions } from "../kube/event-recorder.ts";
import type { Informer, InformerTimings } from "../kube/informer.ts";
import { LeaderElection } from "../kube/leader-election.ts";
import { RequestRate, type RateLimit } from "../kube/request-rate.ts";
import { readCopy } from "../kube/resources/copies.ts";
import { readNamespace } from "../kube/resources/namespaces.ts";
import {
  readServiceAccountMetadata,
  type ServiceAccountMetadata,
} from "../kube/resources/service-accounts.ts";
import { createStringPool, type StringPool } from "../kube/string-pool.ts";
import { Transport } from "../kube/transport.ts";
import type { Warn } from "../replicator/ports.ts";
import type { ClusterMetrics } from "../telemetry/cluster-metrics.ts";
import type { Mode } from "../core/mode.ts";
import type { HealMode } from "./heal.ts";
import { Informers } from "./informers.ts";
import { trackOptIns, type OptIns } from "./opt-ins.ts";
import type { StuckPodName } from "./stuck-pods.ts";
import { describeSecret } from "./watched-sources.ts";

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
  readonly mode: Mode;
  /** Namespaces whose pods the policy leaves alone, besides those that it always does. */
  readonly excludedNamespaces: readonly string[];
  /** Whether pods that cannot pull are evicted; undefined: they are not. */
  readonly heal: HealMode | undefined;
  /** Where the programs of credential providers are; undefined only where the configuration has none. */
  readonly programDirectory: string | undefined;
  readonly informerTimings: Partial<InformerTimings>;
}

export interface ClusterTelemetry {
  readonly logger: Logger;
  readonly metrics: ClusterMetrics;
}

/** What parts tell those that are made after them. */
export type ClusterEvents = EventEmitter<{
  /** A copy, a namespace, a registry or its credentials may be different. */
  change: [];
  /** The configuration of the file, with the registries of the cluster, too. */
  registries: [Configuration];
  /** A provider answered with other credentials, or no longer answers. */
  renewal: [];
  /** A pod waits for an image. */
  stuck: [pod: StuckPodName, diagnosis: Diagnosis];
}>;

export interface ClusterAccess {
  readonly namespace: string;
  readonly transport: Transport;
  readonly election: LeaderElection;
  readonly apisFor: ApisFor;
  /** Their writes are sent only while this replica leads. */
  readonly leaderApisFor: ApisFor;
  readonly recordEvent: Warn;
}

export function accessCluster(options: ClusterOptions, { logger, metrics }: ClusterTelemetry): ClusterAccess {
  const { connection, requestLimit: limit, namespace, identity, pod } = options;
  const transport = new Transport({
    connection,
    // Each namespace of both priorities has a few copies to write.
    rate: new RequestRate({ ...(limit && { limit }), concurrency: options.concurrency * 4 }),
    onRequest({ method, status }) {
      metrics.countRequest(method, status);
    },
    onThrottled(throttle) {
      metrics.countThrottled();
      logger.warn(throttle, "the API server asks to wait");
    },
  });
  const apisFor = createApis(transport);
  const election = new LeaderElection({ apisFor, namespace, name: MANAGER, identity });
  const recordEvent = createEventRecorder({
    apisFor,
    ...(pod !== undefined && { pod }),
    log({ secret, object, message, ...warning }) {
      const facts = {
        ...(secret && { secret: describeSecret(secret) }),
        ...(object && { object: `${object.kind} ${object.namespace}/${object.name}` }),
      };
      logger.warn({ ...warning, ...facts }, message);
    },
    onFailure(error) {
      logger.warn({ error: messageOf(error) }, "failed to write an event");
    },
  });
  return {
    namespace,
    transport,
    election,
    apisFor,
    leaderApisFor: createApis(transport, () => election.guard()),
    recordEvent,
  };
}

/** What is known of the whole cluster. */
export interface KnownObjects {
  readonly namespaces: Informer<Namespace & Versioned>;
  readonly copies: Informer<ExistingCopy>;
  readonly accounts: Informer<ServiceAccountMetadata>;
  readonly pool: StringPool;
  readonly synced: Promise<unknown>;
  unreadyReasons(): readonly string[];
  start(): void;
}

export function createKnownObjects(informers: Informers): KnownObjects {
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
  const all = { namespaces, copies, "service accounts": accounts };
  return {
    namespaces,
    copies,
    accounts,
    pool,
    synced: Promise.all(Object.values(all).map(({ synced }) => synced)),
    unreadyReasons: () =>
      Object.entries(all).flatMap(([label, { isSynced }]) =>
        isSynced ? [] : [`the ${label} of the cluster are not known yet`],
      ),
    start() {
      for (const informer of Object.values(all)) informer.start();
    },
  };
}

export interface WatchedCluster extends ClusterTelemetry {
  readonly options: ClusterOptions;
  readonly access: ClusterAccess;
  readonly events: ClusterEvents;
  readonly informers: Informers;
  readonly known: KnownObjects;
  readonly optIns: OptIns;
}

export function watchCluster(
  options: ClusterOptions,
  { logger, metrics }: ClusterTelemetry,
  stack: AsyncDisposableStack,
): WatchedCluster {
  const events: ClusterEvents = new EventEmitter();
  const access = accessCluster(options, { logger, metrics });
  stack.defer(() => {
    access.transport.close();
  });
  const informers = new Informers({
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
  return { options, logger, metrics, access, events, informers, known, optIns };
}
