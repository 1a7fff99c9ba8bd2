import { writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readCertificate, UnusableCertificateError, type LoadedCertificate } from "../../src/tls/files.ts";
import { makeSelfSignedCertificate } from "../../src/tls/self-signed.ts";
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

  it("reads a certificate, its chain, its key and its end", () => {
    const chain = one.certificate + "\n" + other.certificate;
    const loaded = readFrom(chain, one.privateKey);
    expect(loaded).toMatchObject({ certificate: chain, privateKey: one.privateKey });
    expect(Math.abs(loaded.notAfter.getTime() - one.notAfter.getTime())).toBeLessThan(1000);
  });

  it.each([
    [
      "a certificate that is not there",
      () => readFrom(undefined, one.privateKey),
      /^cannot read the certificate: ENOENT/,
    ],
    ["a key that is not there", () => readFrom(one.certificate, undefined), /^cannot read the key: ENOENT/],
    [
      "a certificate that is none",
      () => readFrom("garbage", one.privateKey),
      /tls\.crt holds no PEM certificate$/,
    ],
    ["an empty certificate", () => readFrom("", one.privateKey), /tls\.crt holds no PEM certificate$/],
    [
      "a key that is none",
      () => readFrom(one.certificate, "garbage"),
      /tls\.key holds no PEM private key without a passphrase$/,
    ],
    ["half a key", () => readFrom(one.certificate, one.privateKey.slice(0, 80)), /holds no PEM private key/],
    [
      "files in the wrong places",
      () => readFrom(one.privateKey, one.certificate),
      /holds no PEM certificate$/,
    ],
    [
      "the key of another certificate",
      () => readFrom(one.certificate, other.privateKey),
      /^the key in .*tls\.key is not that of the certificate in .*tls\.crt$/,
    ],
  ])("refuses %s", (_title, read, message) => {
    expect(read).toThrow(UnusableCertificateError);
    expect(read).toThrow(message);
  });
});
