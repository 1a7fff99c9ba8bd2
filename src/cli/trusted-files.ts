/** Certificates from files that a webhook is to trust: others renew them and publish their authority. */
import { readRegistration, WEBHOOK_CONFIGURATIONS_PATH } from "../kube/certificate-writer.ts";
import type { WebhookRegistration } from "../core/stored-certificates.ts";
import { chainsTo } from "../tls/chains-to.ts";
import type { LoadedCertificate } from "../tls/files.ts";
import { UNREADY_REASONS } from "../tls/unready-reasons.ts";
import type { CertificateSource, ClusterCertificates } from "./certificate-source.ts";
import type { ClusterWatches } from "./watch-cluster.ts";

export interface TrustedFiles {
  readonly source: CertificateSource;
  /** The MutatingWebhookConfiguration. */
  readonly webhookName: string;
}

/** The same certificates; and whether the API server would trust those that are served, by what it is told now. */
export function followTrust(
  { source, webhookName }: TrustedFiles,
  watches: Pick<ClusterWatches, "watchObject">,
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
  watches.watchObject(
    { watch: "webhook configuration", path: WEBHOOK_CONFIGURATIONS_PATH, name: webhookName },
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
