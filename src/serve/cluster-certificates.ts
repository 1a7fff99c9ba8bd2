/** Certificates whose trust the cluster decides, by the webhook's caBundle: Pullpass's own, and those from files. */
import type { Logger } from "pino";
import type { FileWatch } from "../config/files.ts";
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
import { startRenewal, type CertificatesInCluster, type Renewal } from "../tls/renewal.ts";
import { createServingCertificate, type ServingCertificate } from "../tls/serving-certificate.ts";
import type { Informers } from "./informers.ts";
import type { CertificateListener, CertificateSource } from "./serving-certificate.ts";
import { describeSecret, type SecretName, type WatchSecret } from "./watched-sources.ts";

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
  readonly watchSecret: WatchSecret;
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
  return "source" in options ? trustedFiles(options, context) : new SelfManagedCertificates(options, context);
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

const DONE: Readonly<Record<Exclude<RenewalAction["kind"], "wait">, string>> = {
  publish: "published the authorities in the webhook's caBundle",
  "make-authority": "made a certificate authority",
  "switch-authority": "the new certificate authority has issued the serving certificate",
  "renew-serving": "renewed the serving certificate",
  "forget-previous": "the old certificate authority is no longer trusted",
};

export class SelfManagedCertificates implements ClusterCertificates {
  readonly #secret: SecretName;
  readonly #webhook: string;
  readonly #logger: Logger;
  readonly #served: ServingCertificate;
  readonly #renewal: Renewal;
  readonly #first = Promise.withResolvers<LoadedCertificate>();
  readonly #trusted = Promise.withResolvers<undefined>();
  readonly first = this.#first.promise;
  readonly trusted = this.#trusted.promise;
  #state: CertificatesInCluster = { secret: undefined, registration: undefined };
  #latest: LoadedCertificate | undefined;
  #onSwap: CertificateListener["onSwap"] | undefined;
  #lastError: string | undefined;

  constructor(options: SelfManagedOptions, context: CertificateContext) {
    const { secretName, webhookName: webhook, serviceName, timing } = options;
    const { apisFor, namespace, logger } = context;
    this.#secret = { namespace, name: secretName };
    this.#webhook = webhook;
    this.#logger = logger;
    this.#served = createServingCertificate({
      ...{ secret: describeSecret(this.#secret), webhook, now: Date.now },
      onServe: (certificate) => {
        this.#latest = certificate;
        this.#first.resolve(certificate);
        this.#onSwap?.(certificate);
      },
    });
    this.#renewal = startRenewal({
      writer: createCertificateWriter(apisFor, { namespace, secret: secretName, webhook }),
      // The API server uses the first one; people and other clients in the cluster may use the others.
      names: ["svc", "svc.cluster.local", ""].map((suffix) =>
        [serviceName, namespace, suffix].filter((part) => part !== "").join("."),
      ),
      timing,
      onWritten: (state) => {
        this.#take(state);
      },
      onAction: (kind) => {
        this.#reportAction(kind);
      },
      onError: (error) => {
        this.#reportError(error);
      },
    });
    this.#watchCluster(context);
  }

  unreadyReasons(): readonly string[] {
    return this.#served.unreadyReasons();
  }

  lead(signal: AbortSignal): void {
    this.#renewal.lead(signal);
  }

  watch({ onSwap }: CertificateListener): FileWatch {
    this.#onSwap = onSwap;
    void this.first.then((certificate) => {
      if (this.#latest !== undefined && this.#latest !== certificate) this.#onSwap?.(this.#latest);
    });
    return {
      close: () => {
        this.#onSwap = undefined;
      },
    };
  }

  #watchCluster({ watchSecret, watchObject }: CertificateContext): void {
    watchSecret(this.#secret, (object) => {
      this.#take({ secret: object === "missing" ? object : readStoredCertificates(object) });
    });
    watchObject(
      { label: "webhook configuration", path: WEBHOOK_CONFIGURATIONS_PATH, name: this.#webhook },
      (object) => {
        this.#take({ registration: object === "missing" ? object : readRegistration(object) });
      },
    );
  }

  /** A watch may report a state that is older than what this replica has just written. */
  #take(next: Partial<CertificatesInCluster>): void {
    const secret = newer(this.#state.secret, next.secret);
    const registration = newer(this.#state.registration, next.registration);
    const hadForeign = isForeign(this.#state.secret);
    this.#state = { secret, registration };
    if (secret !== undefined) this.#served.onSecret(secret);
    if (registration !== undefined) this.#served.onRegistration(registration);
    this.#renewal.onState(this.#state);
    const reasons = this.#served.unreadyReasons();
    if (reasons.length === 0) this.#trusted.resolve(undefined);
    if (isForeign(secret) && !hadForeign) this.#logger.error({ reasons }, "there is no certificate to serve");
  }

  #reportAction(kind: RenewalAction["kind"]): void {
    this.#lastError = undefined;
    if (kind === "wait") return;
    this.#logger.info({ secret: describeSecret(this.#secret), webhook: this.#webhook }, DONE[kind]);
  }

  #reportError(error: unknown): void {
    const message = messageOf(error);
    if (message === this.#lastError) return;
    this.#lastError = message;
    this.#logger.error({ error: message }, "failed to renew or publish the certificates; retrying");
  }
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
