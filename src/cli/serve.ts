/**
 * `pullpass serve`: puts the parts together, runs them until a signal comes, and takes them down in reverse.
 */
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import { reviewHandler } from "../admission/handler.ts";
import { measured } from "../admission/measured.ts";
import type { AdmissionPorts } from "../admission/ports.ts";
import type { Configuration } from "../config/configuration.ts";
import { readConfiguration, watchConfiguration } from "../config/read.ts";
import { adminApp } from "../http/admin-app.ts";
import { admissionListener } from "../http/app.ts";
import { startServer, type ListenAddress, type RunningServer } from "../http/server.ts";
import { batchReviews } from "../telemetry/batch.ts";
import { openLog } from "../telemetry/logger.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import { localCertificates } from "./certificate-source.ts";
import { indexConfiguration } from "./index-configuration.ts";
import { isSelfManaged, join, type JoinOptions } from "./join.ts";
import { returnMemoryWhenIdle } from "./return-memory.ts";
import { swapCertificates } from "./swap-certificates.ts";

export interface ServeOptions extends JoinOptions {
  readonly configPaths: readonly string[];
  readonly listen: ListenAddress;
  readonly adminListen: ListenAddress;
  /** After SIGTERM the server is no longer ready, but goes on for so long, until every API server knows. */
  readonly shutdownDelayMs: number;
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
  const local = isSelfManaged(options.tls) ? undefined : await localCertificates(options.tls, options.listen);
  const stopSignal = nextSignal();

  const log = openLog();
  const { logger } = log;
  const metrics = createMetrics();
  const events = batchReviews([log.logReviews, metrics.observeReviews]);

  const membership = await join(options, { logger, metrics: metrics.forCluster }, local);
  membership.setConfiguration(configuration);

  const isReplicated = options.cluster !== undefined;
  let registries = indexConfiguration(configuration, isReplicated);
  const ports: AdmissionPorts = { registries: () => registries, ...membership.ports };
  const clocks = { now: () => Date.now(), elapsed: () => performance.now() };
  const handle = measured(reviewHandler(ports), clocks, events.observe);

  let isStopping = false;
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
  const takeDown = async (server?: RunningServer): Promise<void> => {
    // Another replica goes on writing at once; reviews are answered to the end.
    await membership.leave();
    configurationWatch.close();
    await server?.close(DRAIN_TIMEOUT_MS);
    await adminServer.close(0);
    events.flush();
  };

  const certificates = membership.certificates ?? local;
  if (certificates === undefined) throw new Error("without a cluster there is nowhere to keep certificates");
  // The first self-managed certificate may be long in coming; probes are answered meanwhile, and signals heard.
  const certificate = await Promise.race([certificates.first, stopSignal]);
  if (typeof certificate === "string") {
    isStopping = true;
    await takeDown();
    logger.info({ signal: certificate }, "stopped before there was a certificate");
    log.close();
    return;
  }
  const server = await startServer(admissionListener({ handle, onRejected: rejections(logger, metrics) }), {
    ...options,
    certificate,
  }).catch(async (error: unknown) => {
    await takeDown();
    throw error;
  });
  const certificateWatch = swapCertificates(server, certificate, certificates, { logger, metrics });
  const memory = returnMemoryWhenIdle();
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
  memory.stop();
  certificateWatch.close();
  await takeDown(server);
  logger.info("stopped");
  log.close();
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

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
}
