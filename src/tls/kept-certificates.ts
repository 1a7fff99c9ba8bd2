/** The keys of the Secret in which the certificates are kept. */

/** PEM texts. */
export interface KeyPair {
  readonly certificate: string;
  readonly privateKey: string;
}

/** What the Secret holds, whether it makes sense or not. */
export interface KeptCertificates {
  readonly current: KeyPair | undefined;
  readonly next: KeyPair | undefined;
  /** The key of what was replaced is not kept. */
  readonly previous: string | undefined;
  readonly serving: KeyPair | undefined;
}

export const NOTHING_KEPT: KeptCertificates = {
  current: undefined,
  next: undefined,
  previous: undefined,
  serving: undefined,
};

type SecretData = Readonly<Record<string, string | undefined>>;

/** A key that is missing is empty here, which no certificate fits; undefined where there is no certificate. */
export function readKept(data: SecretData): KeptCertificates {
  const pair = (certificateKey: string, privateKeyKey: string): KeyPair | undefined => {
    const certificate = data[certificateKey];
    return certificate === undefined ? undefined : { certificate, privateKey: data[privateKeyKey] ?? "" };
  };
  return {
    current: pair("ca.crt", "ca.key"),
    next: pair("ca-next.crt", "ca-next.key"),
    previous: data["ca-previous.crt"],
    serving: pair("tls.crt", "tls.key"),
  };
}

/** Every key of ours; undefined for those that are not to be there. */
export function writeKept({ current, next, previous, serving }: KeptCertificates): SecretData {
  return {
    "ca.crt": current?.certificate,
    "ca.key": current?.privateKey,
    "ca-next.crt": next?.certificate,
    "ca-next.key": next?.privateKey,
    "ca-previous.crt": previous,
    "tls.crt": serving?.certificate,
    "tls.key": serving?.privateKey,
  };
}
