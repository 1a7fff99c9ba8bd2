/** Certificates whose trust the cluster decides, by the webhook's caBundle: Pullpass's own, and those from files. */
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
import { distrustReasons, type LoadedCertificate } from "../tls/certificates.ts";
import type { RenewalAction, RenewalTiming } from "../tls/plan-renewal.ts";
import { startRenewal, type CertificatesInCluster } from "../tls/renewal.ts";
import { createServingCertificate } from "../tls/serving-certificate.ts";
import { describeSecret, type CredentialSourcesOptions } from "./credential-sources.ts";
import type { Informers } from "./informers.ts";
import type { CertificateSource } from "./serving-certificate.ts";

export interface SelfManagedOptions {
  /** The Secret, in the namespace where Pullpass runs. */
  readonly secretName: string;
  /** The MutatingWebhookConfiguration. */
  readonly webhookName: string;
  /** The Service by which API servers reach the replicas, in the namespace where Pullpass runs. */
  readonly serviceName: string;
  readonly timing: RenewalTiming;
}

export interface TrustedFiles {
  readonly source: CertificateSource;
  /** The MutatingWebhookConfiguration. */
  readonly webhookName: string;
}

export interface CertificateContext {
  /** Clients that write only while this replica leads. */
  readonly apisFor: ApisFor;
  readonly watchSecret: CredentialSourcesOptions["watchSecret"];
  readonly watchObject: Informers["watchObject"];
  /** Where Pullpass runs. */
  readonly namespace: string;
  readonly logger: Logger;
}

export type ClusterCertificateOptions = SelfManagedOptions | TrustedFiles;

/** Undefined if the cluster has no say in it. */
export function clusterCertificates(
  options: ClusterCertificateOptions | undefined,
  context: CertificateContext,
): ClusterCertificates | undefined {
  if (options === undefined) return undefined;
  return "source" in options ? trustedFiles(options, context) : selfManagedCertificates(options, context);
}

/** A certificate source that knows whether API servers trust what this replica serves. */
export interface ClusterCertificates extends CertificateSource {
  /** Why API servers would not trust this replica. */
  unreadyReasons(): readonly string[];
  /** Resolves as soon as there are none. */
  readonly trusted: Promise<void>;
  /** This replica leads, and writes, until `signal` aborts. */
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
  const first = Promise.withResolvers<LoadedCertificate>();
  const trusted = Promise.withResolvers<undefined>();
  let lastError: string | undefined;

  const served = createServingCertificate({
    secret: describeSecret(secretId),
    webhook: webhookName,
    now: Date.now,
    onServe(certificate) {
      latest = certificate;
      first.resolve(certificate);
      onSwap?.(certificate);
    },
  });
  const renewal = startRenewal({
    writer: createCertificateWriter(apisFor, { namespace, secret: secretName, webhook: webhookName }),
    // The API server uses the first one; people and other clients in the cluster may use the others.
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

  /** A watch may report a state that is older than what this replica has just written. */
  function take(next: Partial<CertificatesInCluster>): void {
    const secret = newer(state.secret, next.secret);
    const registration = newer(state.registration, next.registration);
    const hadForeign = isForeign(state.secret);
    state = { secret, registration };
    if (secret !== undefined) served.onSecret(secret);
    if (registration !== undefined) served.onRegistration(registration);
    renewal.onState(state);
    const reasons = served.unreadyReasons();
    if (reasons.length === 0) trusted.resolve(undefined);
    if (isForeign(secret) && !hadForeign) logger.error({ reasons }, "there is no certificate to serve");
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
    first: first.promise,
    trusted: trusted.promise,
    unreadyReasons: () => served.unreadyReasons(),
    lead(signal) {
      renewal.lead(signal);
    },
    watch(listener) {
      onSwap = listener.onSwap;
      void first.promise.then((certificate) => {
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

/** The certificates of `source`, and whether API servers trust the one that is served now. */
export function trustedFiles(
  { source, webhookName }: TrustedFiles,
  { watchObject }: Pick<CertificateContext, "watchObject">,
): ClusterCertificates {
  let served: LoadedCertificate | undefined;
  let registration: WebhookRegistration | "missing" | undefined;
  const trusted = Promise.withResolvers<undefined>();

  const unreadyReasons = (): readonly string[] =>
    distrustReasons(served, registration, webhookName, Date.now());
  function serve(next: LoadedCertificate): void {
    served = next;
    checkTrust();
  }
  function checkTrust(): void {
    if (unreadyReasons().length === 0) trusted.resolve(undefined);
  }

  void source.first.then(serve);
  watchObject(
    { label: "webhook configuration", path: WEBHOOK_CONFIGURATIONS_PATH, name: webhookName },
    (object) => {
      registration = object === "missing" ? object : readRegistration(object);
      checkTrust();
    },
  );

  return {
    first: source.first,
    trusted: trusted.promise,
    unreadyReasons,
    watch: ({ onSwap, onFailure }) =>
      source.watch({
        onSwap(next) {
          onSwap(next);
          serve(next);
        },
        onFailure,
      }),
  };
}
