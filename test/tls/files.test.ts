import { writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { LoadedCertificate } from "../../src/tls/certificates.ts";
import { readCertificate, UnusableCertificateError } from "../../src/tls/files.ts";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";
import { temporaryDirectory } from "../config/temporary-directory.ts";

describe("readCertificate", () => {
  let one: LoadedCertificate;
  let other: LoadedCertificate;

  beforeAll(async () => {
    one = await makeSelfSignedCertificate(["localhost"], new Date());
    other = await makeSelfSignedCertificate(["localhost"], new Date());
  });

  function readFrom(certificate: string | undefined, key: string | undefined): LoadedCertificate {
    const directory = temporaryDirectory();
    const files = {
      certificatePath: path.join(directory, "tls.crt"),
      keyPath: path.join(directory, "tls.key"),
    };
    if (certificate !== undefined) writeFileSync(files.certificatePath, certificate);
    if (key !== undefined) writeFileSync(files.keyPath, key);
    return readCertificate(files);
  }

  it("reads a certificate with its chain, its key and its expiry", () => {
    const chain = one.certificate + "\n" + other.certificate;
    const loaded = readFrom(chain, one.privateKey);
    expect(loaded).toMatchObject({ certificate: chain, privateKey: one.privateKey });
    expect(Math.abs(loaded.notAfter.getTime() - one.notAfter.getTime())).toBeLessThan(1000);
  });

  it.each([
    [
      "a missing certificate",
      () => readFrom(undefined, one.privateKey),
      /^cannot read the certificate: ENOENT/,
    ],
    ["a missing key", () => readFrom(one.certificate, undefined), /^cannot read the key: ENOENT/],
    [
      "a certificate that does not parse",
      () => readFrom("garbage", one.privateKey),
      /tls\.crt does not contain a PEM certificate$/,
    ],
    [
      "an empty certificate",
      () => readFrom("", one.privateKey),
      /tls\.crt does not contain a PEM certificate$/,
    ],
    [
      "a key that does not parse",
      () => readFrom(one.certificate, "garbage"),
      /tls\.key does not contain an unencrypted PEM private key$/,
    ],
    [
      "half a key",
      () => readFrom(one.certificate, one.privateKey.slice(0, 80)),
      /does not contain an unencrypted PEM private key/,
    ],
    [
      "files in the wrong places",
      () => readFrom(one.privateKey, one.certificate),
      /does not contain a PEM certificate$/,
    ],
    [
      "the key of another certificate",
      () => readFrom(one.certificate, other.privateKey),
      /^the key in .*tls\.key does not belong to the certificate in .*tls\.crt$/,
    ],
  ])("rejects %s", (_title, read, message) => {
    expect(read).toThrow(UnusableCertificateError);
    expect(read).toThrow(message);
  });
});
