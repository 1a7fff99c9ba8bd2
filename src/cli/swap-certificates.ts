/** Serves each new certificate as soon as its source has it. */
import type { Logger } from "pino";
import type { FileWatch } from "../config/files.ts";
import type { RunningServer } from "../http/server.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { LoadedCertificate } from "../tls/files.ts";
import type { CertificateSource } from "./certificate-source.ts";

export interface SwapTelemetry {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "setCertificateExpiry">;
}

/** `first` is served already. */
export function swapCertificates(
  server: Pick<RunningServer, "setCertificate">,
  first: LoadedCertificate,
  source: CertificateSource,
  { logger, metrics }: SwapTelemetry,
): FileWatch {
  metrics.setCertificateExpiry(first.notAfter, first.authorityNotAfter);
  return source.watch({
    onSwap(next) {
      server.setCertificate(next);
      metrics.setCertificateExpiry(next.notAfter, next.authorityNotAfter);
      logger.info({ notAfter: next.notAfter }, "certificate swapped");
    },
    onFailure(error) {
      logger.error(
        { error: error.message },
        "the certificate cannot be used; the last good one stays in force",
      );
    },
  });
}
