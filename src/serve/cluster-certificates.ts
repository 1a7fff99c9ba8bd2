/** Certificates of which the cluster says whether API servers trust them: Pullpass's own, and files. */
import type { Logger } from "pino";
import { messageOf } from "../core/error-message.ts";
import type { WebhookRegistration } from "../core/stored-certificates.ts";
import type { ApisFor } from "../kube/api.ts";
import {
  createCertificateWriter,
  readRegistration,
  readStoredCertificates,
  WEBHOOK_CONFIGURATIONS_PATH,
} from "../kube/resources/certificates.ts";
import { chainsTo } from "../tls/chains-to.ts";
import type { LoadedCertificate } from "../tls/files.ts";
import type { RenewalAction } from "../tls/plan-renewal.ts";
import { startRenewal, type CertificatesInCluster } from "../tls/renew-certificates.ts";
import type { RenewalTiming } from "../tls/renewal-timing.ts";
import { keepServed } from "../tls/served-certificate.ts";
import { UNREADY_REASONS } from "../tls/unready-reasons.ts";
import { describeSecret, type CredentialSourcesOptions } from "./credential-sources.ts";
import type { Informers } from "./informers.ts";
import type { CertificateSource } from "./serving-certificate.ts";

export interface SelfManagedOptions {
  /** In the namespace where Pullpass runs. */
  readonly secretName: string;
  /** Of the MutatingWebhookConfiguration. */
  readonly webhookName: string;
  /** By which API servers reach the replicas, in the namespace where Pullpass runs. */
  readonly serviceName: string;
  readonly timing: RenewalTiming;
}

export interface TrustedFiles {
  readonly source: CertificateSource;
  /** The MutatingWebhookConfiguration. */
  readonly webhookName: string;
}

export interface CertificateContext {
  /** Write only while this replica leads. */
  readonly apisFor: ApisFor;
  readonly watchSecret: CredentialSourcesOptions["watchSecret"];
  readonly watchObject: Informers["watchObject"];
  /** Where Pullpass runs. */
  readonly namespace: string;
  readonly logger: Logger;
}

export type ClusterCertificateOptions = SelfManagedOptions | TrustedFiles;

/** Undefined where there is nothing to be asked of the cluster. */
export function clusterCertificates(
  options: ClusterCertificateOptions | undefined,
  context: CertificateContext,
): ClusterCertificates | undefined {
  if (options === undefined) return undefined;
  return "source" in options ? trustedFiles(options, context) : selfManagedCertificates(options, context);
}

/** Those of which the cluster says whether API servers trust them. */
export interface ClusterCertificates extends CertificateSource {
  /** Why API servers would not trust this replica. */
  unreadyReasons(): readonly string[];
  /** Resolves once there is none. */
  readonly trusted: Promise<void>;
  /** This replica is the one that writes, until `signal` aborts. */
  lead?(signal: AbortSignal): void;
}

export type SelfManagedCertificates = ClusterCertificates & Required<Pick<ClusterCertificates, "lead">>;

const DONE: Readonly<Record<Exclude<RenewalAction["kind"], "wait">, string>> = {
  publish: "published the authorities in the webhook's caBundle",
  "make-authority": "made a certificate authority",
  "switch-authority": "the new certificate authority has issued the serving certificate",
  "renew-serving": "renewed the serving certificate",
  "forget-previous": "the old certificate authority is no longer trusted",
};

export function selfManagedCertificates(
  { secretName, webhookName, serviceName, timing }: SelfManagedOptions,
  { apisFor, watchSecret, watchObject, namespace, logger }: CertificateContext,
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
    writer: createCertificateWriter(apisFor, { namespace, secret: secretName, webhook: webhookName }),
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
      logger.error({ error: message }, "failed to renew or publish the certificates; retrying");
    },
  });

  /** What a watch reports may be older than what was written a moment ago. */
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

  watchSecret(secretId, (object) => {
    take({ secret: object === "missing" ? object : readStoredCertificates(object) });
  });
  watchObject(
    { label: "webhook configuration", path: WEBHOOK_CONFIGURATIONS_PATH, name: webhookName },
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

/** The same certificates; and whether the API server would trust those that are served, by what it trusts now. */
export function trustedFiles(
  { source, webhookName }: TrustedFiles,
  { watchObject }: Pick<CertificateContext, "watchObject">,
): ClusterCertificates {
  let served: LoadedCertificate | undefined;
  let registration: WebhookRegistration | "missing" | undefined;
  let isTrusted = false;
  let onTrusted = (): void => undefined;
  const trusted = new Promise<void>((resolve) => (onTrusted = resolve));

  const unreadyReasons = (): readonly string[] => {
    if (registration === undefined) return [UNREADY_REASONS.registrationUnknown(webhookName)];
    if (served !== undefined && Date.now() >= served.notAfter.getTime()) return [UNREADY_REASONS.ended()];
    return isTrusted ? [] : [UNREADY_REASONS.untrusted(webhookName)];
  };
  function take(next: { served?: LoadedCertificate; registration?: typeof registration }): void {
    served = next.served ?? served;
    registration = next.registration ?? registration;
    const bundles = registration === undefined || registration === "missing" ? [] : registration.bundles;
    const { certificate = "" } = served ?? {};
    isTrusted = served !== undefined && bundles.every((bundle) => chainsTo(certificate, bundle));
    if (unreadyReasons().length === 0) onTrusted();
  }

  void source.first.then((first) => {
    take({ served: first });
  });
  watchObject(
    { label: "webhook configuration", path: WEBHOOK_CONFIGURATIONS_PATH, name: webhookName },
    (object) => {
      take({ registration: object === "missing" ? object : readRegistration(object) });
    },
  );

  return {
    first: source.first,
    trusted,
    unreadyReasons,
    watch: ({ onSwap, onFailure }) =>
      source.watch({
        onSwap(next) {
          onSwap(next);
          take({ served: next });
        },
        onFailure,
      }),
  };
}
