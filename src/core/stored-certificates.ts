/** Pullpass's own certificates as the cluster stores them: a Secret, and the certificates that API servers trust. */
import type { JsonObject } from "./kubernetes.ts";

/** The Secret as it is stored. */
export interface StoredCertificates {
  /** Whether Pullpass created it, or somebody created it empty for Pullpass to fill. Any other Secret is left alone. */
  readonly isOurs: boolean;
  /** `metadata.resourceVersion` as a number: a greater one is newer. */
  readonly version: number;
  /** The decoded data. */
  readonly data: Readonly<Record<string, string>>;
  /** The whole Secret, because a PUT replaces all of it. */
  readonly object: JsonObject;
}

/** The MutatingWebhookConfiguration: whom API servers call, and whom they trust. */
export interface WebhookRegistration {
  /** `metadata.resourceVersion` as a number: a greater one is newer. */
  readonly version: number;
  readonly resourceVersion: string;
  /** The `caBundle` of each webhook as PEM; empty where there is none. */
  readonly bundles: readonly string[];
}

/**
 * Writes both. A write that is not based on the latest state is rejected, which is not an error: the watch reports the
 * latest state.
 */
export interface CertificateWriter {
  /**
   * Sets these keys of the Secret and deletes those whose value is undefined; other keys stay. Creates the Secret if
   * `over` is undefined.
   *
   * @returns the Secret after the write, or undefined if somebody else changed it first.
   */
  writeSecret(
    data: Readonly<Record<string, string | undefined>>,
    over: StoredCertificates | undefined,
  ): Promise<StoredCertificates | undefined>;
  /** Makes `bundle` (PEM) the `caBundle` of each webhook. Returns as `writeSecret` does. */
  publish(bundle: string, over: WebhookRegistration): Promise<WebhookRegistration | undefined>;
}
