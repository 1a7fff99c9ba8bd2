/** Chooses the certificate that this replica serves from the Secret, and reports whether API servers trust it. */
import type { StoredCertificates, WebhookRegistration } from "../core/stored-certificates.ts";
import { parseCertificateSecret } from "./certificate-secret.ts";
import { distrustReasons, isKeyOf, notAfterOf, parseLeaf, type LoadedCertificate } from "./certificates.ts";

export interface ServingCertificateOptions {
  /** The Secret as NAMESPACE/NAME, for messages. */
  readonly secret: string;
  /** The name of the MutatingWebhookConfiguration, for messages. */
  readonly webhook: string;
  readonly now: () => number;
  /** Called with the first certificate to serve, and with each that replaces it. */
  readonly onServe: (certificate: LoadedCertificate) => void;
}

export interface ServingCertificate {
  onSecret(secret: StoredCertificates | "missing"): void;
  onRegistration(registration: WebhookRegistration | "missing"): void;
  /** Why API servers would not trust this replica; empty if they do, or if none calls it. */
  unreadyReasons(): readonly string[];
}

/*
 * The first row that holds decides. Trusted: see distrustReasons.
 *
 * served now  | the Secret holds                | served then
 * ----------- | ------------------------------- | ---------------
 *             | none, or one without its key    | same as now
 * none        | one                             | that one
 * trusted     | one that is not trusted (yet)   | same as now
 *             | a different one                 | the different one
 */
export function createServingCertificate({
  secret,
  webhook,
  now,
  onServe,
}: ServingCertificateOptions): ServingCertificate {
  let stored: StoredCertificates | "missing" | undefined;
  let registration: WebhookRegistration | "missing" | undefined;
  let served: LoadedCertificate | undefined;

  const reasonsAgainst = (certificate: LoadedCertificate | undefined): readonly string[] =>
    distrustReasons(certificate, registration, webhook, now());
  const isTrusted = (certificate: LoadedCertificate): boolean => reasonsAgainst(certificate).length === 0;

  function choose(): void {
    if (stored === undefined || registration === undefined) return;
    const offered = stored === "missing" ? undefined : servingIn(stored);
    if (offered === undefined || offered.certificate === served?.certificate) return;
    if (served !== undefined && isTrusted(served) && !isTrusted(offered)) return;
    served = offered;
    onServe(offered);
  }

  return {
    onSecret(next) {
      stored = next;
      choose();
    },
    onRegistration(next) {
      registration = next;
      choose();
    },
    unreadyReasons() {
      if (stored === undefined) return [`the Secret ${secret} is not known yet`];
      if (stored !== "missing" && !stored.isOurs)
        return [`the Secret ${secret} was not created by Pullpass; it is left alone`];
      if (served === undefined && registration !== undefined)
        return [`the Secret ${secret} holds no serving certificate yet`];
      return reasonsAgainst(served);
    },
  };
}

function servingIn({ isOurs, data }: StoredCertificates): LoadedCertificate | undefined {
  const { serving, current } = parseCertificateSecret(isOurs ? data : {});
  const leaf = serving === undefined ? undefined : parseLeaf(serving.certificate);
  if (serving === undefined || leaf === undefined || !isKeyOf(serving, leaf)) return undefined;
  const authority = current === undefined ? undefined : parseLeaf(current.certificate);
  return {
    ...serving,
    notAfter: new Date(notAfterOf(leaf)),
    ...(authority === undefined ? {} : { authorityNotAfter: new Date(notAfterOf(authority)) }),
  };
}
