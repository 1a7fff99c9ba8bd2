/** The source of the serving certificate: files, or a self-signed one. */
import { hostname } from "node:os";
import { watchFiles, type FileWatch } from "../config/files.ts";
import type { Logger } from "pino";
import type { ListenAddress, RunningServer } from "../http/server.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { LoadedCertificate } from "../tls/certificates.ts";
import { readCertificate, UnusableCertificateError, type CertificateFiles } from "../tls/files.ts";

export interface CertificateListener {
  readonly onSwap: (certificate: LoadedCertificate) => void;
  readonly onFailure: (error: UnusableCertificateError) => void;
}

export interface CertificateSource {
  /** The one to start with; waits until there is one. */
  readonly first: Promise<LoadedCertificate>;
  /** Reports each certificate that replaces the first one. To be called once. */
  watch(listener: CertificateListener): FileWatch;
}

/** @throws UnusableCertificateError if the files cannot be used. */
export async function localCertificates(
  tls: CertificateFiles | "self-signed",
  listen: ListenAddress,
): Promise<CertificateSource> {
  const first = tls === "self-signed" ? await selfSigned(listen) : readCertificate(tls);
  return {
    first: Promise.resolve(first),
    watch: (listener) =>
      tls === "self-signed" ? watchFiles([], () => undefined) : watchCertificate(tls, first, listener),
  };
}

async function selfSigned({ host }: ListenAddress): Promise<LoadedCertificate> {
  // Loaded only here: the library costs more than the rest of the start together.
  const { makeSelfSignedCertificate } = await import("../tls/x509.ts");
  const names = new Set(["localhost", "127.0.0.1", "::1", hostname(), ...(host === undefined ? [] : [host])]);
  return makeSelfSignedCertificate([...names], new Date());
}

function watchCertificate(
  files: CertificateFiles,
  initial: LoadedCertificate,
  listener: CertificateListener,
): FileWatch {
  let served = initial;
  return watchFiles([files.certificatePath, files.keyPath], () => {
    try {
      const next = readCertificate(files);
      if (next.certificate === served.certificate && next.privateKey === served.privateKey) return;
      served = next;
      listener.onSwap(next);
    } catch (error) {
      if (!(error instanceof UnusableCertificateError)) throw error;
      listener.onFailure(error);
    }
  });
}

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
        "cannot use the new certificate; still serving the previous one",
      );
    },
  });
}
