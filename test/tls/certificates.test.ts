import "reflect-metadata";
import {
  BasicConstraintsExtension,
  PemConverter,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { webcrypto } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { chainsTo, type KeyPair } from "../../src/tls/certificates.ts";
import {
  ALGORITHM,
  generateKeys,
  makeAuthority,
  makeSelfSignedCertificate,
  toPem,
  validity,
} from "../../src/tls/x509.ts";

const HOUR_MS = 60 * 60_000;
const now = new Date();

async function issue(issuer: KeyPair, name: string, isAuthority: boolean): Promise<KeyPair> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: new X509Certificate(issuer.certificate).subject,
    ...validity(now, now.getTime() + HOUR_MS),
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey(
      "pkcs8",
      PemConverter.decodeFirst(issuer.privateKey),
      ALGORITHM,
      false,
      ["sign"],
    ),
    signingAlgorithm: ALGORITHM,
    extensions: [new BasicConstraintsExtension(isAuthority, undefined, true)],
  });
  return toPem(certificate, keys.privateKey);
}

describe("chainsTo", () => {
  let [root, other, first, second, leaf, short, selfSigned]: string[] = [];

  beforeAll(async () => {
    const authority = await makeAuthority(HOUR_MS, now);
    const middle = await issue(authority, "first", true);
    const low = await issue(middle, "second", true);
    root = authority.certificate;
    other = (await makeAuthority(HOUR_MS, now)).certificate;
    first = middle.certificate;
    second = low.certificate;
    leaf = (await issue(low, "leaf", false)).certificate;
    short = (await issue(authority, "short", false)).certificate;
    selfSigned = (await makeSelfSignedCertificate(["localhost"], now)).certificate;
  });

  it.each<[boolean, string, () => readonly (string | undefined)[], () => readonly (string | undefined)[]]>([
    [true, "its authority is in the bundle", () => [short], () => [root]],
    [true, "the bundle has other authorities, too", () => [short], () => [other, root]],
    [true, "the served intermediates lead to the bundle", () => [leaf, second, first], () => [root]],
    [true, "the intermediates are in another order", () => [leaf, first, second], () => [root]],
    [true, "the bundle has an intermediate", () => [leaf, second], () => [first]],
    [true, "the certificate is self-signed and in the bundle", () => [selfSigned], () => [selfSigned]],
    [false, "an intermediate is missing", () => [leaf, first], () => [root]],
    [false, "the bundle has only another authority", () => [leaf, second, first], () => [other]],
    [false, "the authority is served, but is not in the bundle", () => [short, root], () => [other]],
    [false, "the issuer is not an authority", () => [second, leaf], () => [leaf]],
    [false, "the bundle is empty", () => [short], () => []],
    [false, "nothing is served", () => [], () => [root]],
  ])("is %s if %s", (expected, _, served, bundle) => {
    expect(chainsTo(served().join("\n"), bundle().join("\n"), now.getTime())).toBe(expected);
    const later = now.getTime() + 100 * 365 * 24 * HOUR_MS;
    expect(chainsTo(served().join("\n"), bundle().join("\n"), later)).toBe(false);
  });
});
