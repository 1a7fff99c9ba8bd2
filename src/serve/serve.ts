/**
 * `pullpass serve`: puts the parts together, runs them until a signal comes, and takes them down in reverse.
 */
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import { measured, reviewHandler } from "../admission/handler.ts";
import type { Configuration } from "../config/configuration.ts";
import type { Environment } from "../config/credentials.ts";
import { InvalidConfigurationError } from "../config/diagnostics.ts";
import type { FileWatch } from "../config/files.ts";
import { providersWithoutPrograms } from "../config/providers.ts";
import {
  readToWatch,
  watchConfiguration,
  type CheckUse,
  type WatchableConfiguration,
} from "../config/read.ts";
import { MANAGER } from "../core/labels.ts";
import { adminApp } from "../http/admin.ts";
import { admissionListener } from "../http/routes.ts";
import { startServer, type ListenAddress, type RunningServer } from "../http/server.ts";
import { batchReviews, openLog, type ReviewBatch } from "../telemetry/logger.ts";
import { Metrics } from "../telemetry/metrics.ts";
import type { CertificateFiles } from "../tls/files.ts";
import type { ClusterCertificateOptions, SelfManagedOptions, TrustedFiles } from "./cluster-certificates.ts";
import type { ClusterOptions, ClusterTelemetry } from "./cluster-access.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";
import { limitHeap, returnMemoryWhenIdle } from "./heap.ts";
import { localCertificates, swapCertificates, type CertificateSource } from "./serving-certificate.ts";
import { ServingState, STANDALONE } from "./serving-state.ts";
import { listenForStop, StoppedError, type StopSignal } from "./stop-signal.ts";

/** Where the serving certificate comes from. Self-managed ones are kept in the cluster. */
export type CertificateOptions =
  (CertificateFiles & Partial<Pick<TrustedFiles, "webhookName">>) | "self-signed" | SelfManagedOptions;

export interface ServedCluster extends ClusterOptions {
  /** Where its `namespace` comes from, for people. */
  readonly namespaceFrom: string;
}

export interface ServeOptions {
  readonly configPaths: readonly string[];
  readonly environment: Environment;
  /** Without a cluster every namespace counts as opted in, and nothing is replicated. */
  readonly cluster: ServedCluster | undefined;
  readonly tls: CertificateOptions;
  readonly listen: ListenAddress;
  readonly adminListen: ListenAddress;
  /** After SIGTERM the server is no longer ready, but goes on for so long, until every API server knows. */
  readonly shutdownDelayMs: number;
}

/** Without a cluster there are no copies, and no provider is run. */
function requirePrograms({ cluster }: ServeOptions): CheckUse {
  return (configuration) => {
    const diagnostics = cluster && providersWithoutPrograms(configuration, cluster.programDirectory);
    if (diagnostics !== undefined && diagnostics.length > 0) throw new InvalidConfigurationError(diagnostics);
  };
}

/** Requests under way at the end of the shut-down delay are given as long as the API server itself waits. */
const DRAIN_TIMEOUT_MS = 30_000;

/**
 * Last writes are given 5 s, and giving up the Lease one request of 2.5 s. An API server that hangs keeps nobody waiting
 * for longer: the Lease then expires after 10 s.
 */
const STOP_TIMEOUT_MS = 7_500;

/**
 * Serves until SIGTERM or SIGINT, which end it at every step. Whatever fails before it serves ends it, too.
 *
 * @throws InvalidConfigurationError, UnusableCertificateError, CannotListenError, ClusterRefusedError
 */
export async function serve(options: ServeOptions): Promise<void> {
  // Files first, while signals still do what they do by default: one may be a pipe that nobody writes to.
  const read = readToWatch(options.configPaths);
  requirePrograms(options)(read.configuration);
  const local = isSelfManaged(options.tls) ? undefined : await localCertificates(options.tls, options.listen);
  try {
    await serveUntil(listenForStop(), read, local, options);
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
  }
}

/** Starts from top to bottom; what was started is stopped in reverse, whatever it was that ended it. */
async function serveUntil(
  stop: StopSignal,
  { configuration, content }: WatchableConfiguration,
  local: CertificateSource | undefined,
  options: ServeOptions,
): Promise<void> {
  limitHeap();
  await using started = new AsyncDisposableStack();
  const telemetry = openTelemetry(started);
  const { logger, metrics } = telemetry;
  void stop.received.then((signal) => {
    logger.info({ signal }, "shutting down");
  });
  const isReplicated = options.cluster !== undefined;
  if (!isReplicated) warnOfLimitedRegistries(configuration, logger);
  const state = new ServingState(configuration, isReplicated, stop.aborted);

  // Both ports are ours before anybody in the cluster hears of this replica.
  const adminServer = await stop.unlessStopped(startAdminServer(options, state, telemetry));
  started.defer(() => adminServer.close(0));
  const server = await stop.unlessStopped(startReviewServer(options, state, telemetry));
  let drainTimeoutMs = 0;
  started.defer(() => server.close(drainTimeoutMs));
  const facts = { url: server.url, adminUrl: adminServer.url, ...describeConfiguration(configuration) };
  logger.info({ ...facts, ...describeCluster(options) }, "starting");

  await stop.unlessStopped(waitForCluster(options, state, logger, stop.aborted));
  const cluster = await connect(options, { logger, metrics: metrics.forCluster() }, state, local);
  state.setCluster(cluster);
  started.defer(() => Promise.race([cluster.stop(), setTimeout(STOP_TIMEOUT_MS, undefined, { ref: false })]));
  cluster.setConfiguration(configuration);
  started.adopt(reloadConfiguration(options, content, cluster, telemetry), close);

  const certificates = cluster.certificates ?? local;
  if (certificates === undefined) throw new Error("without a cluster there is nowhere to keep certificates");
  // The first self-managed certificate may be long in coming.
  const certificate = await stop.unlessStopped(certificates.first);
  server.setCertificate(certificate);
  started.adopt(swapCertificates(server, certificate, certificates, telemetry), close);
  const memory = returnMemoryWhenIdle();
  started.defer(() => {
    memory.stop();
  });
  logger.info(facts, "listening");
  void cluster.known.then(() => {
    logger.info(facts, "ready");
  });

  const signal = await stop.received;
  drainTimeoutMs = DRAIN_TIMEOUT_MS;
  server.startDraining();
  // Another replica writes from now on; reviews are answered to the end. Where Pullpass is uninstalled, nobody writes what a purge removes.
  void cluster.handOver();
  // A person at a terminal does not wait until the endpoints have changed everywhere.
  if (signal === "SIGTERM") await setTimeout(options.shutdownDelayMs);
}

interface ServeTelemetry {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly reviews: ReviewBatch;
}

function openTelemetry(started: AsyncDisposableStack): ServeTelemetry {
  const log = openLog();
  const { logger } = log;
  started.defer(() => {
    logger.info("stopped");
    log.close();
  });
  const metrics = new Metrics();
  const reviews = batchReviews([log.logReviews, metrics.observeReviews]);
  started.defer(() => {
    reviews.flush();
  });
  return { logger, metrics, reviews };
}

function startAdminServer(
  { adminListen }: ServeOptions,
  state: ServingState,
  { metrics, reviews }: ServeTelemetry,
): Promise<RunningServer> {
  const probes = adminApp(() => state.unreadyReasons(), {
    contentType: metrics.contentType,
    render() {
      reviews.flush();
      return metrics.render();
    },
  });
  return startServer(probes, { listen: { ...adminListen, flag: "--admin-listen" } });
}

function startReviewServer(
  { listen }: ServeOptions,
  state: ServingState,
  { logger, metrics, reviews }: ServeTelemetry,
): Promise<RunningServer> {
  const clocks = { now: () => Date.now(), elapsed: () => performance.now() };
  const handle = measured(reviewHandler(state.ports), clocks, reviews.observe);
  const listener = admissionListener({ handle, onRejected: rejections(logger, metrics) });
  return startServer(listener, { listen, certificate: "later" });
}

function reloadConfiguration(
  options: ServeOptions,
  content: string,
  cluster: ClusterRuntime,
  { logger, metrics }: ServeTelemetry,
): FileWatch {
  return watchConfiguration(options.configPaths, content, requirePrograms(options), {
    onReload(next) {
      cluster.setConfiguration(next);
      if (options.cluster === undefined) warnOfLimitedRegistries(next, logger);
      metrics.countReload(true);
      logger.info(describeConfiguration(next), "configuration reloaded");
    },
    onFailure(error) {
      metrics.countReload(false);
      logger.error(
        { error: error.message },
        "the configuration has errors; the last good one stays in force",
      );
    },
  });
}

function close(part: { close(): void }): void {
  part.close();
}

/** Waits until the API server answers, if there is one to ask. @throws ClusterRefusedError */
async function waitForCluster(
  { cluster, tls }: ServeOptions,
  state: ServingState,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  if (cluster === undefined) return;
  const { waitForApiServer } = await import("./wait-for-api-server.ts");
  const webhookName = tls === "self-signed" ? undefined : tls.webhookName;
  const onWaiting = (reason: string): void => {
    state.waitFor(reason);
    logger.warn({ reason }, "waiting for the API server");
  };
  await waitForApiServer({ ...cluster, leaseName: MANAGER, webhookName, onWaiting, signal });
}

/** `local` are the certificates that come from elsewhere, if they do. */
async function connect(
  { cluster, environment, tls }: ServeOptions,
  telemetry: ClusterTelemetry,
  state: ServingState,
  local: CertificateSource | undefined,
): Promise<ClusterRuntime> {
  const onRegistries = (configuration: Configuration): void => {
    state.setRegistries(configuration);
  };
  if (cluster === undefined) return { ...STANDALONE, setConfiguration: onRegistries };
  // Loaded only here: without a cluster nothing of it is needed.
  const { connectCluster } = await import("./cluster-runtime.ts");
  return connectCluster(cluster, environment, telemetry, onRegistries, clusterCertificateOptions(tls, local));
}

function isSelfManaged(tls: CertificateOptions): tls is SelfManagedOptions {
  return typeof tls === "object" && "secretName" in tls;
}

/** Those about which there is something to be asked of the cluster. */
function clusterCertificateOptions(
  tls: CertificateOptions,
  source: CertificateSource | undefined,
): ClusterCertificateOptions | undefined {
  if (isSelfManaged(tls)) return tls;
  if (source === undefined || tls === "self-signed" || tls.webhookName === undefined) return undefined;
  return { source, webhookName: tls.webhookName };
}

function describeConfiguration(configuration: Configuration): { readonly registries: readonly string[] } {
  return { registries: configuration.registries.map((registry) => registry.name) };
}

/** Without a cluster the labels of namespaces are not known, and no registry is given to a namespace that may not have it. */
function warnOfLimitedRegistries({ registries }: Configuration, logger: Logger): void {
  const limited = registries.filter(({ namespaces }) => namespaces !== undefined).map(({ name }) => name);
  if (limited.length === 0) return;
  logger.warn(
    { registries: limited },
    "--standalone injects no registry that is limited to certain namespaces",
  );
}

function rejections(logger: Logger, metrics: Metrics): (status: number, error: Error) => void {
  return (status, error) => {
    metrics.countRejected(status);
    if (status >= 500) logger.error({ status, error: error.stack }, "review failed");
    else logger.warn({ status, reason: error.message }, "not a review");
  };
}

function describeCluster({ cluster }: ServeOptions): object {
  if (cluster === undefined) return { cluster: "none, by --standalone" };
  const { connection, namespace, namespaceFrom, mode } = cluster;
  return { apiServer: connection.server.href, namespace, namespaceFrom, mode };
}
