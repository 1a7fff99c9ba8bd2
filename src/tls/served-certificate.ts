/** What one replica serves, of what is kept in the cluster, and whether API servers trust it. */
import { type X509Certificate } from "node:crypto";
import type { StoredCertificates, WebhookRegistration } from "../core/stored-certificates.ts";
import type { LoadedCertificate } from "./files.ts";
import { readKept, type KeyPair } from "./kept-certificates.ts";
import { isIssuedBy, isKeyOf, notAfterOf, readBundle, readLeaf } from "./read-certificates.ts";
import { UNREADY_REASONS } from "./unready-reasons.ts";

export interface ServedCertificateOptions {
  /** For people: the Secret as NAMESPACE/NAME, and the name of the webhook's configuration. */
  readonly secret: string;
  readonly webhook: string;
  readonly now: () => number;
  /** Called with the first certificate to serve, and with each that takes its place. */
  readonly onServe: (certificate: LoadedCertificate) => void;
}

export interface ServedCertificate {
  /** "missing" if there is none. */
  onSecret(secret: StoredCertificates | "missing"): void;
  onRegistration(registration: WebhookRegistration | "missing"): void;
  /** Why API servers would not trust this replica; empty if they do, and if none of them calls it. */
  unreadyReasons(): readonly string[];
}

interface Served {
  readonly pair: KeyPair;
  readonly leaf: X509Certificate;
  readonly authority: X509Certificate | undefined;
}

/*
 * The first row that holds decides. Trusted: by every webhook, or there is none; and not ended.
 *
 * served now  | the Secret holds                | is served then
 * ----------- | ------------------------------- | --------------
 *             | none, or one without its key    | as now
 * none        | one                             | the one
 * trusted     | one that is not trusted (yet)   | as now
 *             | another one                     | the other one
 */
export function keepServed({ secret, webhook, now, onServe }: ServedCertificateOptions): ServedCertificate {
  let stored: StoredCertificates | "missing" | undefined;
  let registration: WebhookRegistration | "missing" | undefined;
  let bundles: readonly (readonly X509Certificate[])[] = [];
  let served: Served | undefined;

  const hasEnded = ({ leaf }: Served): boolean => now() >= notAfterOf(leaf);
  const isKnown = ({ leaf }: Served): boolean =>
    bundles.every((authorities) => authorities.some((authority) => isIssuedBy(leaf, authority)));
  const isTrusted = (certificate: Served): boolean => !hasEnded(certificate) && isKnown(certificate);

  function choose(): void {
    if (stored === undefined || registration === undefined) return;
    const offered = stored === "missing" ? undefined : servingIn(stored);
    if (offered === undefined || offered.leaf.fingerprint256 === served?.leaf.fingerprint256) return;
    if (served !== undefined && isTrusted(served) && !isTrusted(offered)) return;
    served = offered;
    onServe(loaded(offered));
  }

  return {
    onSecret(next) {
      stored = next;
      choose();
    },
    onRegistration(next) {
      registration = next;
      bundles = next === "missing" ? [] : next.bundles.map((bundle) => [...readBundle(bundle).values()]);
      choose();
    },
    unreadyReasons() {
      if (stored === undefined) return [`the Secret ${secret} is not known yet`];
      if (registration === undefined) return [UNREADY_REASONS.registrationUnknown(webhook)];
      if (stored !== "missing" && !stored.isOurs)
        return [`the Secret ${secret} is not one that Pullpass made; it is left alone`];
      if (served === undefined) return [`the Secret ${secret} holds no serving certificate yet`];
      if (hasEnded(served)) return [UNREADY_REASONS.ended()];
      return isKnown(served) ? [] : [UNREADY_REASONS.untrusted(webhook)];
    },
  };
}

function servingIn({ isOurs, data }: StoredCertificates): Served | undefined {
  const { serving: pair, current } = readKept(isOurs ? data : {});
  const leaf = pair === undefined ? undefined : readLeaf(pair.certificate);
  if (pair === undefined || leaf === undefined || !isKeyOf(pair, leaf)) return undefined;
  return { pair, leaf, authority: current === undefined ? undefined : readLeaf(current.certificate) };
}

function loaded({ pair, leaf, authority }: Served): LoadedCertificate {
  return {
    ...pair,
    notAfter: new Date(notAfterOf(leaf)),
    ...(authority === undefined ? {} : { authorityNotAfter: new Date(notAfterOf(authority)) }),
  };
}
