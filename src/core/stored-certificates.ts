/** What the cluster holds of Pullpass's own certificates: a Secret, and what the API server trusts. */
import type { JsonObject } from "./kubernetes.ts";

/** The Secret as it is stored. */
export interface StoredCertificates {
  /** Whether Pullpass made it, or somebody made it empty for Pullpass to fill. Another one is left alone. */
  readonly isOurs: boolean;
  /** Comparable as a number: a higher one is newer. */
  readonly version: number;
  /** Texts by key, no longer in base64. */
  readonly data: Readonly<Record<string, string>>;
  /** All of it, because a PUT replaces all of it. */
  readonly object: JsonObject;
}

/** The MutatingWebhookConfiguration, by which API servers know whom to ask and whom to trust. */
export interface WebhookRegistration {
  /** Comparable as a number: a higher one is newer. */
  readonly version: number;
  readonly resourceVersion: string;
  /** The `caBundle` of each of its webhooks, as PEM; empty where there is none. */
  readonly bundles: readonly string[];
}

/** Writes both. A write that is not based on the newest state is refused, which is not an error: the watch reports what is new. */
export interface CertificateWriter {
  /**
   * Puts these keys into the Secret, and takes away those whose value is undefined; other keys stay. Creates the Secret
   * where `over` is undefined.
   *
   * @returns the Secret as it is then, or undefined if somebody else was faster.
   */
  writeSecret(
    data: Readonly<Record<string, string | undefined>>,
    over: StoredCertificates | undefined,
  ): Promise<StoredCertificates | undefined>;
  /** Makes `bundle` (PEM) the `caBundle` of each webhook. @returns as writeSecret. */
  publish(bundle: string, over: WebhookRegistration): Promise<WebhookRegistration | undefined>;
}
