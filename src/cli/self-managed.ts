/** Certificates that Pullpass makes for itself and keeps in the cluster: what each replica serves, and who renews. */
import type { Logger } from "pino";
import { messageOf } from "../core/error-message.ts";
import {
  createCertificateWriter,
  readRegistration,
  readStoredCertificates,
  WEBHOOK_CONFIGURATIONS_PATH,
} from "../kube/certificate-writer.ts";
import type { KubeClient } from "../kube/client.ts";
import type { LoadedCertificate } from "../tls/files.ts";
import type { RenewalAction } from "../tls/plan-renewal.ts";
import { startRenewal, type CertificatesInCluster } from "../tls/renew-certificates.ts";
import type { RenewalTiming } from "../tls/renewal-timing.ts";
import { keepServed } from "../tls/served-certificate.ts";
import type { ClusterCertificates } from "./certificate-source.ts";
import { describeSecret } from "./sources.ts";
import type { ClusterWatches } from "./watch-cluster.ts";

export interface SelfManagedOptions {
  /** In the namespace where Pullpass runs. */
  readonly secretName: string;
  /** Of the MutatingWebhookConfiguration. */
  readonly webhookName: string;
  /** By which API servers reach the replicas, in the namespace where Pullpass runs. */
  readonly serviceName: string;
  readonly timing: RenewalTiming;
}

export interface SelfManagedContext {
  /** Writes only while this replica leads. */
  readonly client: Pick<KubeClient, "request">;
  readonly watches: Pick<ClusterWatches, "watchSecret" | "watchObject">;
  readonly namespace: string;
  readonly logger: Logger;
}

export type SelfManagedCertificates = ClusterCertificates & Required<Pick<ClusterCertificates, "lead">>;

const DONE: Readonly<Record<Exclude<RenewalAction["kind"], "wait">, string>> = {
  publish: "the authorities are published in the webhook's caBundle",
  "make-authority": "a certificate authority is made",
  "switch-authority": "the new certificate authority has issued the serving certificate",
  "renew-serving": "the serving certificate is renewed",
  "forget-previous": "the old certificate authority is not trusted any more",
};

export function keepSelfManaged(
  { secretName, webhookName, serviceName, timing }: SelfManagedOptions,
  { client, watches, namespace, logger }: SelfManagedContext,
): SelfManagedCertificates {
  const secretId = { namespace, name: secretName };
  let state: CertificatesInCluster = { secret: undefined, registration: undefined };
  let latest: LoadedCertificate | undefined;
  let onSwap: ((certificate: LoadedCertificate) => void) | undefined;
  let onFirst = (_: LoadedCertificate): void => undefined;
  let onTrusted = (): void => undefined;
  const first = new Promise<LoadedCertificate>((resolve) => (onFirst = resolve));
  const trusted = new Promise<void>((resolve) => (onTrusted = resolve));
  let lastError: string | undefined;

  const served = keepServed({
    secret: describeSecret(secretId),
    webhook: webhookName,
    now: Date.now,
    onServe(certificate) {
      latest = certificate;
      onFirst(certificate);
      onSwap?.(certificate);
    },
  });
  const renewal = startRenewal({
    writer: createCertificateWriter(client, { namespace, secret: secretName, webhook: webhookName }),
    // As the API server asks for it, and as people and other clients in the cluster may.
    names: ["svc", "svc.cluster.local", ""].map((suffix) =>
      [serviceName, namespace, suffix].filter((part) => part !== "").join("."),
    ),
    timing,
    onWritten: take,
    onAction(kind) {
      lastError = undefined;
      if (kind !== "wait")
        logger.info({ secret: describeSecret(secretId), webhook: webhookName }, DONE[kind]);
    },
    onError(error) {
      const message = messageOf(error);
      if (message === lastError) return;
      lastError = message;
      logger.error({ error: message }, "the certificates cannot be kept in order; it is tried again");
    },
  });

  /** What a watch tells may be older than what was written a moment ago. */
  function take(next: Partial<CertificatesInCluster>): void {
    const secret = newer(state.secret, next.secret);
    const registration = newer(state.registration, next.registration);
    const hadForeign = isForeign(state.secret);
    state = { secret, registration };
    if (secret !== undefined) served.onSecret(secret);
    if (registration !== undefined) served.onRegistration(registration);
    renewal.onState(state);
    const reasons = served.unreadyReasons();
    if (reasons.length === 0) onTrusted();
    if (isForeign(secret) && !hadForeign) logger.error({ reasons }, "there are no certificates to serve");
  }

  watches.watchSecret(secretId, (object) => {
    take({ secret: object === "missing" ? object : readStoredCertificates(object) });
  });
  watches.watchObject(
    { watch: "webhook configuration", path: WEBHOOK_CONFIGURATIONS_PATH, name: webhookName },
    (object) => {
      take({ registration: object === "missing" ? object : readRegistration(object) });
    },
  );

  return {
    first,
    trusted,
    unreadyReasons: () => served.unreadyReasons(),
    lead(signal) {
      renewal.lead(signal);
    },
    watch(listener) {
      onSwap = listener.onSwap;
      void first.then((certificate) => {
        if (latest !== undefined && latest !== certificate) onSwap?.(latest);
      });
      return {
        close() {
          onSwap = undefined;
        },
      };
    },
  };
}

function newer<T extends { readonly version: number }>(
  known: T | "missing" | undefined,
  next: T | "missing" | undefined,
): T | "missing" | undefined {
  if (next === undefined) return known;
  if (typeof known === "object" && typeof next === "object" && next.version < known.version) return known;
  return next;
}

function isForeign(secret: CertificatesInCluster["secret"]): boolean {
  return typeof secret === "object" && !secret.isOurs;
}
