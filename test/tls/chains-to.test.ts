import "reflect-metadata";
import {
  BasicConstraintsExtension,
  PemConverter,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { webcrypto } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { makeAuthority } from "../../src/tls/authority.ts";
import { chainsTo } from "../../src/tls/chains-to.ts";
import { ALGORITHM, generateKeys, keyPair, validity } from "../../src/tls/key-pair.ts";
import type { KeyPair } from "../../src/tls/kept-certificates.ts";
import { makeSelfSignedCertificate } from "../../src/tls/self-signed.ts";

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
  return keyPair(certificate, keys.privateKey);
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
    [true, "it is among others", () => [short], () => [other, root]],
    [true, "certificates that are served lead there", () => [leaf, second, first], () => [root]],
    [true, "they are served in another order", () => [leaf, first, second], () => [root]],
    [true, "the bundle has one of those between", () => [leaf, second], () => [first]],
    [true, "the certificate signed itself and is there", () => [selfSigned], () => [selfSigned]],
    [false, "one between is missing", () => [leaf, first], () => [root]],
    [false, "only another authority is there", () => [leaf, second, first], () => [other]],
    [false, "the authority is served and not in the bundle", () => [short, root], () => [other]],
    [false, "what issued it is no authority", () => [second, leaf], () => [leaf]],
    [false, "the bundle is empty", () => [short], () => []],
    [false, "nothing is served", () => [], () => [root]],
  ])("is %s where %s", (expected, _, served, bundle) => {
    expect(chainsTo(served().join("\n"), bundle().join("\n"))).toBe(expected);
  });
});
