import { X509Certificate } from "node:crypto";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { StoredCertificates, WebhookRegistration } from "../../src/core/stored-certificates.ts";
import { EMPTY_SECRET, formatCertificateSecret } from "../../src/tls/certificate-secret.ts";
import type { KeyPair, LoadedCertificate } from "../../src/tls/certificates.ts";
import { createServingCertificate, type ServingCertificate } from "../../src/tls/serving-certificate.ts";
import { issueServing, makeAuthority } from "../../src/tls/x509.ts";

const HOUR_MS = 60 * 60_000;
const UNTRUSTED =
  "the serving certificate does not chain to the caBundle of the MutatingWebhookConfiguration pullpass";

describe("createServingCertificate", () => {
  const now = new Date();
  let clock = now.getTime();
  let [oldAuthority, newAuthority, oldServing, newServing]: KeyPair[] = [];
  let served: LoadedCertificate[];
  let replica: ServingCertificate;

  beforeAll(async () => {
    oldAuthority = await makeAuthority(2 * HOUR_MS, now);
    newAuthority = await makeAuthority(2 * HOUR_MS, now);
    oldServing = await issueServing(oldAuthority, ["pullpass.pullpass.svc"], HOUR_MS, now);
    newServing = await issueServing(newAuthority, ["pullpass.pullpass.svc"], HOUR_MS, now);
  });
  beforeEach(() => {
    clock = now.getTime();
    served = [];
    replica = createServingCertificate({
      secret: "pullpass/pullpass-tls",
      webhook: "pullpass",
      now: () => clock,
      onServe: (certificate) => served.push(certificate),
    });
  });

  const secretWith = (
    current: KeyPair | undefined,
    serving: KeyPair | undefined,
    isOurs = true,
  ): StoredCertificates => ({
    isOurs,
    version: 1,
    object: {},
    data: Object.fromEntries(
      Object.entries(formatCertificateSecret({ ...EMPTY_SECRET, current, serving })).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    ),
  });
  const trusting = (...bundles: readonly string[]): WebhookRegistration => ({
    version: 1,
    resourceVersion: "1",
    bundles,
  });
  const pem = (pair: KeyPair | undefined) => pair?.certificate ?? "";
  const servedNow = () => served.at(-1)?.certificate;

  it.each<[string, () => StoredCertificates | "missing" | undefined, readonly string[]]>([
    ["nothing is known", () => undefined, ["the Secret pullpass/pullpass-tls is not known yet"]],
    [
      "there is no Secret",
      () => "missing",
      ["the Secret pullpass/pullpass-tls holds no serving certificate yet"],
    ],
    [
      "it only holds an authority",
      () => secretWith(oldAuthority, undefined),
      ["the Secret pullpass/pullpass-tls holds no serving certificate yet"],
    ],
    [
      "its key belongs to another certificate",
      () =>
        secretWith(oldAuthority, {
          certificate: pem(oldServing),
          privateKey: newServing?.privateKey ?? "",
        }),
      ["the Secret pullpass/pullpass-tls holds no serving certificate yet"],
    ],
    [
      "it was created by somebody else",
      () => secretWith(oldAuthority, oldServing, false),
      ["the Secret pullpass/pullpass-tls was not created by Pullpass; it is left alone"],
    ],
  ])("serves nothing and is not ready if %s", (_, secret, reasons) => {
    const state = secret();
    if (state !== undefined) replica.onSecret(state);
    replica.onRegistration(trusting(pem(oldAuthority)));
    expect(served).toEqual([]);
    expect(replica.unreadyReasons()).toEqual(reasons);
  });

  it("waits until it knows what is trusted", () => {
    replica.onSecret(secretWith(oldAuthority, oldServing));
    expect(replica.unreadyReasons()).toEqual(["the MutatingWebhookConfiguration pullpass is not known yet"]);
    expect(served).toEqual([]);
  });

  it.each<[string, () => WebhookRegistration | "missing", readonly string[]]>([
    ["the only webhook trusts it", () => trusting(pem(oldAuthority)), []],
    ["all webhooks trust it", () => trusting(pem(oldAuthority), pem(newAuthority) + pem(oldAuthority)), []],
    ["no webhook is registered", () => "missing", []],
    ["nothing is trusted", () => trusting(""), [UNTRUSTED]],
    ["another authority is trusted", () => trusting(pem(newAuthority)), [UNTRUSTED]],
    ["one of two does not trust it", () => trusting(pem(oldAuthority), ""), [UNTRUSTED]],
    ["the bundle is not PEM", () => trusting("made up"), [UNTRUSTED]],
  ])("serves the first certificate, and reports whether it is trusted: %s", (_, registration, reasons) => {
    replica.onSecret(secretWith(oldAuthority, oldServing));
    replica.onRegistration(registration());
    expect(servedNow()).toBe(pem(oldServing));
    expect(served[0]?.authorityNotAfter).toEqual(
      new Date(Date.parse(new X509Certificate(pem(oldAuthority)).validTo)),
    );
    expect(replica.unreadyReasons()).toEqual(reasons);
  });

  it.each<[string, () => WebhookRegistration | "missing", boolean]>([
    ["both are trusted", () => trusting(pem(oldAuthority) + pem(newAuthority)), true],
    ["only the new one is trusted", () => trusting(pem(newAuthority)), true],
    ["none is trusted", () => trusting(""), true],
    ["no webhook is registered", () => "missing", true],
    ["only the old one is trusted", () => trusting(pem(oldAuthority)), false],
  ])(
    "takes a certificate of another authority unless only the old one is trusted: %s",
    (_, registration, isTaken) => {
      replica.onRegistration(trusting(pem(oldAuthority)));
      replica.onSecret(secretWith(oldAuthority, oldServing));
      replica.onRegistration(registration());
      replica.onSecret(secretWith(newAuthority, newServing));
      expect(servedNow()).toBe(pem(isTaken ? newServing : oldServing));
    },
  );

  it("takes the new certificate as soon as it is trusted", () => {
    replica.onRegistration(trusting(pem(oldAuthority)));
    replica.onSecret(secretWith(oldAuthority, oldServing));
    replica.onSecret(secretWith(newAuthority, newServing));
    replica.onRegistration(trusting(pem(oldAuthority) + pem(newAuthority)));
    expect(servedNow()).toBe(pem(newServing));
    expect(replica.unreadyReasons()).toEqual([]);
  });

  it("keeps serving its certificate when the Secret is deleted", () => {
    replica.onRegistration(trusting(pem(oldAuthority)));
    replica.onSecret(secretWith(oldAuthority, oldServing));
    replica.onSecret("missing");
    expect(replica.unreadyReasons()).toEqual([]);
    expect(served).toHaveLength(1);
  });

  it("is not ready once the certificate has expired, and then takes any other one", () => {
    replica.onRegistration(trusting(pem(oldAuthority)));
    replica.onSecret(secretWith(oldAuthority, oldServing));
    clock += HOUR_MS;
    expect(replica.unreadyReasons()).toEqual(["the serving certificate has expired"]);
    replica.onSecret(secretWith(newAuthority, newServing));
    expect(servedNow()).toBe(pem(newServing));
  });
});
