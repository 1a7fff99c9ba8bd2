/**
 * `pullpass serve`: puts the parts together, runs them until a signal comes, and takes them down in reverse.
 */
import { hostname } from "node:os";
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import { reviewHandler } from "../admission/handler.ts";
import { measured } from "../admission/measured.ts";
import type { AdmissionPorts } from "../admission/ports.ts";
import type { Configuration } from "../config/configuration.ts";
import type { Environment } from "../config/credentials.ts";
import { readConfiguration, watchConfiguration } from "../config/read.ts";
import { watchFiles, type FileWatch } from "../config/watch.ts";
import { adminApp } from "../http/admin-app.ts";
import { admissionListener } from "../http/app.ts";
import { startServer, type ListenAddress } from "../http/server.ts";
import { batchReviews } from "../telemetry/batch.ts";
import { openLog } from "../telemetry/logger.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import {
  readCertificate,
  UnusableCertificateError,
  type CertificateFiles,
  type LoadedCertificate,
} from "../tls/files.ts";
import { indexConfiguration } from "./index-configuration.ts";
import type { ClusterOptions, ClusterTelemetry, Membership } from "./cluster.ts";

export interface ServeOptions {
  readonly configPaths: readonly string[];
  readonly listen: ListenAddress;
  readonly adminListen: ListenAddress;
  /** Where the serving certificate comes from. */
  readonly tls: CertificateFiles | "self-signed";
  /** After SIGTERM the server is no longer ready, but goes on for so long, until every API server knows. */
  readonly shutdownDelayMs: number;
  /** The cluster to join; without one every namespace counts as opted in, and nothing is replicated. */
  readonly cluster: ClusterOptions | undefined;
  readonly environment: Environment;
}

/** Requests under way at the end of the shut-down delay are given as long as the API server itself waits. */
const DRAIN_TIMEOUT_MS = 30_000;

/**
 * Serves until SIGTERM or SIGINT.
 *
 * @throws InvalidConfigurationError, UnusableCertificateError, or the system's error if a port cannot be had.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const configuration = readConfiguration(options.configPaths);
  const certificate = await loadCertificate(options);
  const stopSignal = nextSignal();

  const log = openLog();
  const { logger } = log;
  const metrics = createMetrics();
  const events = batchReviews([log.logReviews, metrics.observeReviews]);

  const membership = await join(options, { logger, metrics: metrics.forCluster });
  membership.setConfiguration(configuration);

  const isReplicated = options.cluster !== undefined;
  let registries = indexConfiguration(configuration, isReplicated);
  const ports: AdmissionPorts = { registries: () => registries, ...membership.ports };
  const clocks = { now: () => Date.now(), elapsed: () => performance.now() };
  const handle = measured(reviewHandler(ports), clocks, events.observe);

  let isStopping = false;
  const server = await startServer(admissionListener({ handle, onRejected: rejections(logger, metrics) }), {
    ...options,
    certificate,
  });
  const adminServer = await startServer(
    adminApp(() => (isStopping ? ["shutting down"] : membership.unreadyReasons()), {
      contentType: metrics.contentType,
      render() {
        events.flush();
        return metrics.render();
      },
    }),
    { listen: options.adminListen },
  );

  const configurationWatch = watchConfiguration(options.configPaths, {
    onReload(next) {
      registries = indexConfiguration(next, isReplicated);
      membership.setConfiguration(next);
      metrics.countReload(true);
      logger.info(describe(next), "configuration reloaded");
    },
    onFailure(error) {
      metrics.countReload(false);
      logger.error(
        { error: error.message },
        "the configuration has errors; the last good one stays in force",
      );
    },
  });
  metrics.setCertificateExpiry(certificate.notAfter);
  const certificateWatch = watchCertificate(options.tls, certificate, {
    onSwap(next) {
      server.setCertificate(next);
      metrics.setCertificateExpiry(next.notAfter);
      logger.info({ notAfter: next.notAfter }, "certificate swapped");
    },
    onFailure(error) {
      logger.error(
        { error: error.message },
        "the certificate cannot be used; the last good one stays in force",
      );
    },
  });
  const facts = { url: server.url, adminUrl: adminServer.url, ...describe(configuration) };
  logger.info(facts, "listening");
  void membership.known.then(() => {
    logger.info(facts, "ready");
  });

  const signal = await stopSignal;
  isStopping = true;
  server.startDraining();
  logger.info({ signal }, "shutting down");
  // A person at a terminal does not wait until the endpoints have changed everywhere.
  if (signal === "SIGTERM") await setTimeout(options.shutdownDelayMs);
  // Another replica goes on writing at once; reviews are answered to the end.
  await membership.leave();
  certificateWatch.close();
  configurationWatch.close();
  await server.close(DRAIN_TIMEOUT_MS);
  await adminServer.close(0);
  events.flush();
  logger.info("stopped");
  log.close();
}

/** Without a cluster nothing is known of namespaces and accounts. */
const STANDALONE: Membership = {
  ports: {
    namespace: () => ({ isOptedIn: true, labels: "unknown" }),
    serviceAccount: () => undefined,
  },
  unreadyReasons: () => [],
  known: Promise.resolve(),
  setConfiguration: () => undefined,
  leave: () => Promise.resolve(),
};

async function join(options: ServeOptions, telemetry: ClusterTelemetry): Promise<Membership> {
  if (options.cluster === undefined) return STANDALONE;
  // Loaded only here: without a cluster nothing of it is needed.
  const { joinCluster } = await import("./cluster.ts");
  return joinCluster(options.cluster, options.environment, telemetry);
}

function describe(configuration: Configuration): { readonly registries: readonly string[] } {
  return { registries: configuration.registries.map((registry) => registry.name) };
}

function rejections(logger: Logger, metrics: Metrics): (status: number, error: Error) => void {
  return (status, error) => {
    metrics.countRejected(status);
    if (status >= 500) logger.error({ status, error: error.stack }, "review failed");
    else logger.warn({ status, reason: error.message }, "not a review");
  };
}

function loadCertificate({ tls, listen }: ServeOptions): Promise<LoadedCertificate> {
  return tls === "self-signed" ? selfSigned(listen) : Promise.resolve(readCertificate(tls));
}

async function selfSigned({ host }: ListenAddress): Promise<LoadedCertificate> {
  // Loaded only here: the library costs more than the rest of the start together.
  const { makeSelfSignedCertificate } = await import("../tls/self-signed.ts");
  const names = new Set(["localhost", "127.0.0.1", "::1", hostname(), ...(host === undefined ? [] : [host])]);
  return makeSelfSignedCertificate([...names], new Date());
}

interface CertificateListener {
  onSwap(certificate: LoadedCertificate): void;
  onFailure(error: UnusableCertificateError): void;
}

function watchCertificate(
  tls: ServeOptions["tls"],
  initial: LoadedCertificate,
  listener: CertificateListener,
): FileWatch {
  let served = initial;
  if (tls === "self-signed") return watchFiles([], () => undefined);
  return watchFiles([tls.certificatePath, tls.keyPath], () => {
    try {
      const next = readCertificate(tls);
      if (next.certificate === served.certificate && next.privateKey === served.privateKey) return;
      served = next;
      listener.onSwap(next);
    } catch (error) {
      if (!(error instanceof UnusableCertificateError)) throw error;
      listener.onFailure(error);
    }
  });
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
}
