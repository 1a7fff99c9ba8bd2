/** Joins the cluster, or does without one. */
import type { Environment } from "../config/credentials.ts";
import { MANAGER } from "../core/labels.ts";
import type { CertificateFiles } from "../tls/files.ts";
import type { CertificateSource } from "./certificate-source.ts";
import type { ClusterOptions, ClusterTelemetry, Membership } from "./cluster.ts";
import type { SelfManagedOptions } from "./self-managed.ts";
import type { TrustedFiles } from "./trusted-files.ts";

/** Where the serving certificate comes from. Self-managed ones are kept in the cluster. */
export type CertificateOptions =
  (CertificateFiles & Partial<Pick<TrustedFiles, "webhookName">>) | "self-signed" | SelfManagedOptions;

export interface ClusterToJoin extends ClusterOptions {
  /** Where its `namespace` comes from, for people. */
  readonly namespaceFrom: string;
}

export interface JoinOptions {
  /** The cluster to join; without one every namespace counts as opted in, and nothing is replicated. */
  readonly cluster: ClusterToJoin | undefined;
  readonly environment: Environment;
  readonly tls: CertificateOptions;
}

/** Without a cluster, or before it is reached, nothing is known of namespaces and accounts. */
export const STANDALONE: Membership = {
  ports: {
    namespace: () => ({ isOptedIn: true, labels: "unknown" }),
    buildSecret: () => undefined,
    serviceAccount: () => undefined,
  },
  certificates: undefined,
  unreadyReasons: () => [],
  known: Promise.resolve(),
  setConfiguration: () => undefined,
  leave: () => Promise.resolve(),
};

/** Waits until the API server answers, if there is one to ask. @throws ClusterRefusedError */
export async function reach(
  { cluster, tls }: JoinOptions,
  onWaiting: (reason: string) => void,
  signal: AbortSignal,
): Promise<void> {
  if (cluster === undefined) return;
  const { reachCluster } = await import("./reach-cluster.ts");
  const webhookName = tls === "self-signed" ? undefined : tls.webhookName;
  await reachCluster({ ...cluster, leaseName: MANAGER, webhookName, onWaiting, signal });
}

/** `local` are the certificates that come from elsewhere, if they do. */
export async function join(
  { cluster, environment, tls }: JoinOptions,
  telemetry: ClusterTelemetry,
  local: CertificateSource | undefined,
): Promise<Membership> {
  if (cluster === undefined) return STANDALONE;
  // Loaded only here: without a cluster nothing of it is needed.
  const { joinCluster } = await import("./cluster.ts");
  return joinCluster(cluster, environment, telemetry, clusterCertificates(tls, local));
}

export function isSelfManaged(tls: CertificateOptions): tls is SelfManagedOptions {
  return typeof tls === "object" && "secretName" in tls;
}

/** Those about which there is something to be asked of the cluster. */
function clusterCertificates(
  tls: CertificateOptions,
  source: CertificateSource | undefined,
): SelfManagedOptions | TrustedFiles | undefined {
  if (isSelfManaged(tls)) return tls;
  if (source === undefined || tls === "self-signed" || tls.webhookName === undefined) return undefined;
  return { source, webhookName: tls.webhookName };
}
