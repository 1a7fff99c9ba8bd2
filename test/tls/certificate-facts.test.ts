import { beforeAll, describe, expect, it } from "vitest";
import { issueServing, makeAuthority } from "../../src/tls/authority.ts";
import { bundleOf, certificateFacts } from "../../src/tls/certificate-facts.ts";
import { NOTHING_KEPT, readKept, writeKept, type KeyPair } from "../../src/tls/kept-certificates.ts";
import { readLeaf } from "../../src/tls/read-certificates.ts";

const HOUR_MS = 60 * 60_000;
const NAMES = ["pullpass.pullpass.svc", "pullpass.pullpass"];

describe("the facts about certificates", () => {
  const now = new Date();
  let one: KeyPair;
  let two: KeyPair;
  let serving: KeyPair;
  beforeAll(async () => {
    one = await makeAuthority(HOUR_MS, now);
    two = await makeAuthority(HOUR_MS, now);
    serving = await issueServing(one, NAMES, HOUR_MS, now);
  });

  const fingerprint = (pair: KeyPair) => readLeaf(pair.certificate)?.fingerprint256 ?? "";
  const end = () => Math.floor((now.getTime() + HOUR_MS) / 1000) * 1000;
  const registered = (...bundles: readonly string[]) => ({ version: 1, resourceVersion: "1", bundles });
  const GARBAGE: KeyPair = { certificate: "made up", privateKey: "made up" };

  it("are those of what is kept and published", () => {
    const kept = { current: one, next: two, previous: two.certificate, serving };
    const registration = registered(`made up\n${two.certificate}${one.certificate}`, "");
    expect(certificateFacts(kept, registration, NAMES)).toEqual({
      current: { fingerprint: fingerprint(one), notAfter: end(), hasKey: true },
      next: { fingerprint: fingerprint(two), notAfter: end(), hasKey: true },
      previous: fingerprint(two),
      serving: { isOfCurrent: true, isFitting: true, notAfter: end() },
      bundles: [[fingerprint(two), fingerprint(one)], []],
    });
  });

  it("are none where nothing is kept and no webhook is registered", () => {
    expect(certificateFacts(NOTHING_KEPT, undefined, NAMES)).toEqual({ ...NOTHING_KEPT, bundles: [] });
  });

  it("leave out what is no certificate, and no authority", () => {
    const kept = { current: serving, next: GARBAGE, previous: "made up", serving: GARBAGE };
    expect(certificateFacts(kept, undefined, NAMES)).toEqual({ ...NOTHING_KEPT, bundles: [] });
  });

  it.each<[string, () => Partial<typeof NOTHING_KEPT>, readonly string[], object]>([
    ["another authority issued it", () => ({ current: two }), NAMES, { isOfCurrent: false, isFitting: true }],
    ["no authority is kept", () => ({ current: undefined }), NAMES, { isOfCurrent: false, isFitting: true }],
    ["a name is missing", () => ({}), [...NAMES, "other.pullpass.svc"], { isFitting: false }],
    [
      "its key is another one",
      () => ({ serving: { ...serving, privateKey: two.privateKey } }),
      NAMES,
      { isFitting: false },
    ],
  ])("tell what a serving certificate is good for: %s", (_, difference, names, expected) => {
    const kept = { ...NOTHING_KEPT, current: one, serving, ...difference() };
    expect(certificateFacts(kept, undefined, names).serving).toMatchObject(expected);
  });

  it("are read from what was written, and a key that is missing fits nothing", () => {
    const kept = { current: one, next: two, previous: two.certificate, serving };
    expect(readKept(writeKept(kept))).toEqual(kept);
    expect(readKept(writeKept(NOTHING_KEPT))).toEqual(NOTHING_KEPT);
    const withoutKey = readKept({ "ca.crt": one.certificate });
    expect(certificateFacts(withoutKey, undefined, NAMES).current?.hasKey).toBe(false);
  });

  it("make a bundle of what is kept and of what was published before, in the order asked for", () => {
    const kept = { ...NOTHING_KEPT, current: one };
    const bundle = bundleOf(
      [fingerprint(two), fingerprint(one)],
      kept,
      registered(`made up\n${two.certificate}`),
    );
    expect(bundle).toBe(two.certificate + one.certificate);
  });
});
