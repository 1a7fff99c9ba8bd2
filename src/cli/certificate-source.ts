/** Where the serving certificate comes from: files, or one that was made on the spot. */
import { hostname } from "node:os";
import { watchFiles, type FileWatch } from "../config/files.ts";
import type { ListenAddress } from "../http/server.ts";
import {
  readCertificate,
  UnusableCertificateError,
  type CertificateFiles,
  type LoadedCertificate,
} from "../tls/files.ts";

export interface CertificateListener {
  readonly onSwap: (certificate: LoadedCertificate) => void;
  readonly onFailure: (error: UnusableCertificateError) => void;
}

export interface CertificateSource {
  /** What to begin with; waits until there is one. */
  readonly first: Promise<LoadedCertificate>;
  /** Tells of each certificate that is to replace the first one. To be called once. */
  watch(listener: CertificateListener): FileWatch;
}

/** Those of which the cluster tells whether API servers trust them. */
export interface ClusterCertificates extends CertificateSource {
  /** Why API servers would not trust this replica. */
  unreadyReasons(): readonly string[];
  /** Resolves once there is none. */
  readonly trusted: Promise<void>;
  /** This replica is the one that writes, until `signal` aborts. */
  lead?(signal: AbortSignal): void;
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
  const { makeSelfSignedCertificate } = await import("../tls/self-signed.ts");
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
