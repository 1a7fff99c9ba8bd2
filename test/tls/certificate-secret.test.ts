import { beforeAll, describe, expect, it } from "vitest";
import { issueServing, makeAuthority } from "../../src/tls/x509.ts";
import {
  bundleOf,
  certificateState,
  EMPTY_SECRET,
  formatCertificateSecret,
  parseCertificateSecret,
} from "../../src/tls/certificate-secret.ts";
import { parseLeaf, type KeyPair } from "../../src/tls/certificates.ts";

const HOUR_MS = 60 * 60_000;
const NAMES = ["pullpass.pullpass.svc", "pullpass.pullpass"];

describe("the state of the certificates", () => {
  const now = new Date();
  let one: KeyPair;
  let two: KeyPair;
  let serving: KeyPair;
  beforeAll(async () => {
    one = await makeAuthority(HOUR_MS, now);
    two = await makeAuthority(HOUR_MS, now);
    serving = await issueServing(one, NAMES, HOUR_MS, now);
  });

  const fingerprint = (pair: KeyPair) => parseLeaf(pair.certificate)?.fingerprint256 ?? "";
  const end = () => Math.floor((now.getTime() + HOUR_MS) / 1000) * 1000;
  const registered = (...bundles: readonly string[]) => ({ version: 1, resourceVersion: "1", bundles });
  const GARBAGE: KeyPair = { certificate: "made up", privateKey: "made up" };

  it("is read from the Secret and from the webhooks", () => {
    const secret = { current: one, next: two, previous: two.certificate, serving };
    const registration = registered(`made-up\n${two.certificate}${one.certificate}`, "");
    expect(certificateState(secret, registration, NAMES)).toEqual({
      current: { fingerprint: fingerprint(one), notAfter: end(), hasKey: true },
      next: { fingerprint: fingerprint(two), notAfter: end(), hasKey: true },
      previous: fingerprint(two),
      serving: { isIssuedByCurrent: true, isUsable: true, notAfter: end() },
      bundles: [[fingerprint(two), fingerprint(one)], []],
    });
  });

  it("is empty if there is no Secret and no webhook", () => {
    expect(certificateState(EMPTY_SECRET, undefined, NAMES)).toEqual({ ...EMPTY_SECRET, bundles: [] });
  });

  it("omits what is not a certificate, or not an authority", () => {
    const secret = { current: serving, next: GARBAGE, previous: "made up", serving: GARBAGE };
    expect(certificateState(secret, undefined, NAMES)).toEqual({ ...EMPTY_SECRET, bundles: [] });
  });

  it.each<[string, () => Partial<typeof EMPTY_SECRET>, readonly string[], object]>([
    [
      "another authority issued it",
      () => ({ current: two }),
      NAMES,
      { isIssuedByCurrent: false, isUsable: true },
    ],
    [
      "there is no authority",
      () => ({ current: undefined }),
      NAMES,
      { isIssuedByCurrent: false, isUsable: true },
    ],
    ["a name is missing", () => ({}), [...NAMES, "other.pullpass.svc"], { isUsable: false }],
    [
      "its key belongs to another certificate",
      () => ({ serving: { ...serving, privateKey: two.privateKey } }),
      NAMES,
      { isUsable: false },
    ],
  ])("says whether the serving certificate can be used: %s", (_, difference, names, expected) => {
    const secret = { ...EMPTY_SECRET, current: one, serving, ...difference() };
    expect(certificateState(secret, undefined, names).serving).toMatchObject(expected);
  });

  it("survives formatting and parsing, and a missing key belongs to no certificate", () => {
    const secret = { current: one, next: two, previous: two.certificate, serving };
    expect(parseCertificateSecret(formatCertificateSecret(secret))).toEqual(secret);
    expect(parseCertificateSecret(formatCertificateSecret(EMPTY_SECRET))).toEqual(EMPTY_SECRET);
    const withoutKey = parseCertificateSecret({ "ca.crt": one.certificate });
    expect(certificateState(withoutKey, undefined, NAMES).current?.hasKey).toBe(false);
  });

  it("provides a bundle from the Secret and from what is published, in the given order", () => {
    const secret = { ...EMPTY_SECRET, current: one };
    const bundle = bundleOf(
      [fingerprint(two), fingerprint(one)],
      secret,
      registered(`made-up\n${two.certificate}`),
    );
    expect(bundle).toBe(two.certificate + one.certificate);
  });
});
